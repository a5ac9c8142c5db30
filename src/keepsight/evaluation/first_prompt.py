"""First prompts: what a person would say of an object whose truth is known."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from keepsight.errors import PromptError
from keepsight.types import BoolArray, Box, Mask, Points, Prompt

__all__ = ["PROMPT_KINDS", "PromptKind", "prompt_from_box", "prompt_from_mask"]

PromptKind = Literal["mask", "box", "point"]
PROMPT_KINDS: tuple[PromptKind, ...] = ("mask", "box", "point")


def prompt_from_mask(kind: PromptKind, mask: BoolArray) -> Prompt:
    """The mask itself, its tight box, or the pixel of it closest to its centre of mass.

    Args:
        kind: which of them.
        mask: (H, W) bool.

    Raises:
        PromptError: the mask is empty.
    """
    if kind == "mask":
        return Mask(mask)
    rows, columns = np.nonzero(mask)
    if not len(rows):
        raise PromptError("Expected a mask with at least one pixel to make a prompt of, but it is empty.")
    if kind == "box":
        return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
    nearest = int(((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).argmin())
    return Points([(float(columns[nearest]), float(rows[nearest]))], [1])


def prompt_from_box(kind: PromptKind, box: npt.ArrayLike, width: int, height: int) -> Prompt:
    """A box as far as it lies in the image, or its centre.

    Args:
        kind: "box" or "point".
        box: (4,) x1, y1, x2, y2 in pixels.
        width: of the image.
        height: of the image.

    Raises:
        PromptError: a mask is asked for, or the box lies outside the image.
    """
    x1, y1, x2, y2 = np.clip(np.asarray(box, dtype=np.float64), 0, [width, height, width, height]).tolist()
    inside = Box(x1, y1, x2, y2)
    if kind == "box":
        return inside
    if kind == "point":
        return Points([((x1 + x2) / 2, (y1 + y2) / 2)], [1])
    raise PromptError("Expected 'box' or 'point' as the prompt of a known box, but got 'mask'.")
