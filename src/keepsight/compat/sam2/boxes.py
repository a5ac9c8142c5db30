"""Boxes around masks, as Meta's scripts make them of the predictor's output."""

import torch
from torch import Tensor

from keepsight.errors import UsageError

__all__ = ["batched_mask_to_box"]


def batched_mask_to_box(masks: Tensor) -> Tensor:
    """The tight box of each mask.

    Args:
        masks: (..., H, W) bool, for example `video_res_masks > 0`.

    Returns:
        (..., 4) int64: first and last column and row that hold a pixel, as x1, y1, x2, y2; zeros for an
        empty mask. Unlike `ObjectResult.box`, the right and bottom edge are inclusive, as Meta's are.

    Raises:
        UsageError: the masks are not bool.
    """
    if masks.dtype != torch.bool:
        raise UsageError(
            f"batched_mask_to_box expects bool masks, but got {masks.dtype}. Binarise logits with masks > 0."
        )
    if masks.numel() == 0:
        return torch.zeros(*masks.shape[:-2], 4, device=masks.device)
    columns, rows = masks.any(dim=-2), masks.any(dim=-1)
    edges = [_first(columns), _first(rows), _last(columns), _last(rows)]
    return torch.stack(edges, dim=-1) * rows.any(dim=-1, keepdim=True)


def _first(marked: Tensor) -> Tensor:
    return marked.int().argmax(dim=-1)


def _last(marked: Tensor) -> Tensor:
    return marked.shape[-1] - 1 - marked.flip(-1).int().argmax(dim=-1)
