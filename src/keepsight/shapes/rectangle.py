"""Rectangles as CVAT has them: x1, y1, x2, y2, turned about their own centre."""

import math

import numpy as np
import numpy.typing as npt

from keepsight.errors import PromptError, UsageError
from keepsight.shapes.extent import extent_of
from keepsight.shapes.filling import RingArray
from keepsight.shapes.polygon import polygon_to_mask
from keepsight.types import BoolArray

__all__ = ["mask_to_rectangle", "rectangle_corners", "rectangle_to_mask"]


def rectangle_corners(points: npt.ArrayLike, rotation: float = 0.0) -> RingArray:
    """The four corners of a rectangle.

    Args:
        points: x1, y1, x2, y2 in pixels of the frame, before it is turned.
        rotation: degrees, clockwise on the screen, about the rectangle's centre.

    Returns:
        (4, 2) x, y, clockwise on the screen from what is the top left corner when it is not turned.

    Raises:
        PromptError: not four finite numbers, or an empty or inverted rectangle.
        UsageError: the rotation is not a finite number.
    """
    try:
        edges = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.shape != (4,) or not np.isfinite(edges).all() or not (edges[:2] < edges[2:]).all():
        raise PromptError(
            f"Expected a rectangle as x1, y1, x2, y2 with x1 < x2 and y1 < y2, but got {str(points)[:80]}."
        )
    x1, y1, x2, y2 = edges
    centre = (edges[:2] + edges[2:]) / 2
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]]) - centre
    turned: RingArray = corners @ _turning(rotation) + centre
    return turned


def rectangle_to_mask(points: npt.ArrayLike, height: int, width: int, *, rotation: float = 0.0) -> BoolArray:
    """The pixels of a rectangle, by `polygon_to_mask`'s rule.

    Args:
        points: x1, y1, x2, y2 in pixels of the frame, before it is turned.
        height: of the frame in pixels.
        width: of the frame in pixels.
        rotation: degrees, clockwise on the screen, about the rectangle's centre.

    Returns:
        (height, width) bool with at least one pixel, clipped to the frame.

    Raises:
        PromptError: no such rectangle, or none of it within the frame.
        UsageError: a frame without pixels, or a rotation that is not a finite number.
    """
    return polygon_to_mask(rectangle_corners(points, rotation), height, width)


def mask_to_rectangle(mask: BoolArray, *, rotation: float = 0.0) -> list[float] | None:
    """The smallest rectangle, turned as told, around all of a mask's pixels.

    Args:
        mask: (H, W) bool.
        rotation: degrees, clockwise on the screen, about the rectangle's centre.

    Returns:
        x1, y1, x2, y2 before it is turned, on the pixels' outer edges; None for an empty mask.

    Raises:
        UsageError: not an (H, W) bool mask, or a rotation that is not a finite number.
    """
    turning = _turning(rotation)
    extent = extent_of(mask)
    if extent is None:
        return None
    if rotation == 0:
        return [float(edge) for edge in extent]
    corners = (_row_ends(extent.cut(mask)) + extent.corner) @ turning.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    centre, half = (low + high) / 2 @ turning, (high - low) / 2
    rectangle: list[float] = np.concatenate([centre - half, centre + half]).tolist()
    return rectangle


def _row_ends(mask: BoolArray) -> RingArray:
    """The outer corners of each row's first and last pixel, which no other corner lies beyond."""
    (rows,) = np.nonzero(mask.any(axis=1))
    first, end = mask[rows].argmax(axis=1), mask.shape[1] - mask[rows, ::-1].argmax(axis=1)
    x = np.concatenate([first, first, end, end])
    return np.stack([x, np.concatenate([rows, rows + 1, rows, rows + 1])], axis=1).astype(np.float64)


def _turning(rotation: float) -> RingArray:
    """What a row (x, y) is multiplied by to turn it clockwise on the screen."""
    if not (isinstance(rotation, int | float) and math.isfinite(rotation)):
        raise UsageError(f"Expected a rotation in degrees, but got {rotation!r}.")
    sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
    return np.array([[cosine, sine], [-sine, cosine]])
