"""The network's masks at the size of the original picture: cleaned, kept apart, binarised."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.compat.overlaps import kept_apart
from keepsight.errors import UsageError
from keepsight.types import BoolArray

__all__ = ["MaskCountError", "MaskTypeError", "post_process_masks"]

# How far from the threshold a filled hole and a removed sprinkle come to lie, as in SAM 2 and SAM 3.
CLEANED_SCORE = 0.1


class MaskTypeError(UsageError, TypeError):
    """Masks are neither tensors nor arrays."""


class MaskCountError(UsageError, IndexError):
    """There are not as many masks as sizes."""


def post_process_masks(
    masks: Any,
    original_sizes: Any,
    mask_threshold: float = 0.0,
    binarize: bool = True,
    max_hole_area: float = 0.0,
    max_sprinkle_area: float = 0.0,
    apply_non_overlapping_constraints: bool = False,
) -> list[Tensor]:
    """Brings mask logits to the size of the original picture.

    In this order: resized; holes filled; sprinkles removed; overlaps given to the highest score; binarised.

    Args:
        masks: per picture (N, C, h, w) mask logits, tensors on any device or arrays. They are not changed.
        original_sizes: per picture (height, width), as a list, an array or a tensor.
        mask_threshold: score above which a pixel belongs to the object.
        binarize: give masks as bool; otherwise scores.
        max_hole_area: a connected region (over edges and corners) that is not the object and has at most
            this many pixels of the original picture becomes the object, with a score 0.1 above the
            threshold; 0 for none.
        max_sprinkle_area: likewise, a region of the object becomes not the object.
        apply_non_overlapping_constraints: whether each pixel belongs to one of the N objects at most; the
            others' scores there become -10 or stay lower.

    Returns:
        Per picture (N, C, height, width), on the masks' device.

    Raises:
        MaskTypeError: masks are neither tensors nor arrays (also a TypeError).
        MaskCountError: there are not as many masks as sizes (also an IndexError).
        UsageError: masks have not four dimensions.
    """
    sizes = original_sizes.tolist() if isinstance(original_sizes, Tensor | np.ndarray) else original_sizes
    if len(masks) != len(sizes):
        raise MaskCountError(
            f"Expected masks and original_sizes of as many pictures, but got {len(masks)} and {len(sizes)}. "
            f"Put one picture's masks into a list: post_process_masks([masks], [size])."
        )
    outputs = []
    for mask, size in zip(masks, sizes, strict=True):
        scores = _resized(mask, size)
        if max_hole_area > 0:
            hole = _small_regions(scores <= mask_threshold, max_hole_area)
            scores = scores.masked_fill(hole, mask_threshold + CLEANED_SCORE)
        if max_sprinkle_area > 0:
            sprinkle = _small_regions(scores > mask_threshold, max_sprinkle_area)
            scores = scores.masked_fill(sprinkle, mask_threshold - CLEANED_SCORE)
        if apply_non_overlapping_constraints:
            scores = kept_apart(scores)
        outputs.append(scores > mask_threshold if binarize else scores)
    return outputs


def _resized(mask: Any, size: Sequence[Any]) -> Tensor:
    if not isinstance(mask, Tensor | np.ndarray):
        raise MaskTypeError(
            f"Expected each picture's masks to be a tensor or an array, but got {type(mask).__name__}. "
            f"Pass a list of tensors."
        )
    scores = mask if isinstance(mask, Tensor) else torch.from_numpy(mask)
    if scores.dim() != 4:
        raise UsageError(
            f"Expected each picture's masks to have shape (N, C, h, w), but got {tuple(scores.shape)}. "
            f"Put one picture's masks into a list: post_process_masks([masks], [size])."
        )
    height, width = size
    return F.interpolate(scores, (int(height), int(width)), mode="bilinear", align_corners=False)


def _small_regions(region: Tensor, most: float) -> Tensor:
    """Those pixels of (N, C, H, W) bool whose connected region, corners included, has at most `most`."""
    planes = region.detach().flatten(0, 1).cpu().numpy()
    small = np.zeros_like(planes)
    for number, plane in enumerate(planes):
        small[number] = _small_components(plane, most)
    return torch.from_numpy(small).to(region.device).view_as(region)


def _small_components(plane: BoolArray, most: float) -> BoolArray:
    _, numbers, figures, _ = cv2.connectedComponentsWithStats(plane.view(np.uint8), connectivity=8)
    small = np.asarray(figures[:, cv2.CC_STAT_AREA] <= most, dtype=np.bool_)
    small[0] = False  # What is outside every component.
    chosen: BoolArray = small[numbers]
    return chosen
