"""A shape of any kind that annotators draw, as a prompt and as pixels; and a mask as a shape of a kind."""

from collections.abc import Sequence

import numpy as np

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import cvat_rle
from keepsight.shapes.polygon import mask_to_polygon, polygon_to_mask
from keepsight.shapes.rectangle import mask_to_rectangle, rectangle_to_mask
from keepsight.types import BoolArray, Box, Mask, Prompt

__all__ = ["figure_to_mask", "figure_to_prompt", "mask_to_figure"]

_CORNERS = 4


def figure_to_prompt(kind: str, points: Sequence[float], height: int, width: int) -> Prompt:
    """What a shape says of an object: a rectangle is a box prompt, anything else a mask prompt.

    Args:
        kind: "rectangle" (x1, y1, x2, y2, in any order), "polygon" (x, y, x, y, ...) or "mask" (CVAT's runs,
            left, top, right, bottom).
        points: in pixels of the frame.
        height: of the frame in pixels.
        width: of the frame in pixels.

    Raises:
        PromptError: the shape lies outside the frame or has no area.
        UsageError: no such kind.
    """
    if kind == "rectangle":
        x1, y1, x2, y2 = _ordered(points)
        if x1 == x2 or y1 == y2:
            raise PromptError(
                f"Expected a rectangle with an area, but got one from ({x1}, {y1}) to ({x2}, {y2}). "
                f"Draw it anew."
            )
        return Box(x1, y1, x2, y2)
    return Mask(figure_to_mask(kind, points, height, width))


def figure_to_mask(kind: str, points: Sequence[float], height: int, width: int) -> BoolArray:
    """The pixels of a shape; see `figure_to_prompt`.

    Returns:
        (height, width) bool.
    """
    if kind == "rectangle":
        return rectangle_to_mask(_ordered(points), height, width)
    if kind == "polygon":
        return polygon_to_mask(points, height, width)
    if kind == "mask":
        return cvat_rle.decode(points, height, width)
    raise _unknown(kind)


def mask_to_figure(
    kind: str, mask: BoolArray, *, tolerance: float = 1.0, previous: Sequence[float] | None = None
) -> tuple[float, ...] | None:
    """A mask as a shape's points, None if it is empty.

    Args:
        kind: as in `figure_to_prompt`.
        mask: (H, W) bool.
        tolerance: how far a polygon may stray from the mask's outline, in pixels.
        previous: the polygon of the frame before, along which a new one is laid.
    """
    if kind == "rectangle":
        points = mask_to_rectangle(mask)
    elif kind == "polygon":
        points = mask_to_polygon(
            mask, tolerance=tolerance, previous=None if previous is None else np.asarray(previous)
        )
    elif kind == "mask":
        return tuple(cvat_rle.encode(mask)) if mask.any() else None
    else:
        raise _unknown(kind)
    return None if points is None else tuple(points)


def _ordered(points: Sequence[float]) -> tuple[float, float, float, float]:
    if len(points) != _CORNERS:
        raise PromptError(f"Expected a rectangle as x1, y1, x2, y2, but got {len(points)} numbers.")
    x1, y1, x2, y2 = points
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _unknown(kind: str) -> UsageError:
    return UsageError(f"Expected a shape's kind as rectangle, polygon or mask, but got {kind!r}.")
