"""Contour accuracy F: how well the outlines of two masks agree."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.types import BoolArray

__all__ = ["TOLERANCE", "boundary", "contour_accuracy", "tolerance_in_pixels"]

TOLERANCE = 0.008
"""How far matching outlines may lie apart, as a part of the image diagonal (DAVIS)."""


def contour_accuracy(found: BoolArray, truth: BoolArray, tolerance: float = TOLERANCE) -> float:
    """F-measure of two masks' boundaries, DAVIS' F.

    A boundary pixel is right where the other mask has a boundary pixel no further away than the
    tolerance, rounded up to whole pixels. Precision is the right part of the found boundary, recall that
    of the true one. A boundary that is not there counts 1 for the part that cannot be wrong: an object
    found where there is none has precision 0 and recall 1, so F is 0 in either case; with neither it is 1.

    Args:
        found: (H, W) bool.
        truth: (H, W) bool.
        tolerance: as a part of the image diagonal.

    Returns:
        0..1.
    """
    ours, theirs = boundary(found), boundary(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    reach = _disk(tolerance_in_pixels(found.shape[0], found.shape[1], tolerance))
    precision = np.count_nonzero(ours & _grown(theirs, reach)) / np.count_nonzero(ours)
    recall = np.count_nonzero(theirs & _grown(ours, reach)) / np.count_nonzero(theirs)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def boundary(mask: BoolArray) -> BoolArray:
    """The pixels on a mask's boundary.

    As DAVIS has it, from the Berkeley segmentation benchmark: those that differ from the pixel to the
    right, below, or below to the right. The outline so lies half a pixel up and left of the true one, and
    a mask that goes on beyond the image's edge has no boundary there.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) bool.
    """
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def tolerance_in_pixels(height: int, width: int, tolerance: float = TOLERANCE) -> int:
    """The tolerance of an image of this size, rounded up to whole pixels."""
    return math.ceil(tolerance * math.hypot(height, width))


def _disk(radius: int) -> npt.NDArray[np.uint8]:
    along = np.arange(-radius, radius + 1) ** 2
    return (along[:, None] + along <= radius**2).astype(np.uint8)


def _grown(mask: BoolArray, reach: npt.NDArray[np.uint8]) -> BoolArray:
    return cv2.dilate(mask.astype(np.uint8), reach).astype(np.bool_)
