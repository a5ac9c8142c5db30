"""From a mask's pixels to the ring around them, along the pixels' edges."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.shapes.filling import RingArray
from keepsight.types import BoolArray

__all__ = ["area_of", "joined", "outline"]

SPECK = 0.05  # of the largest part's pixels: smaller parts are not worth a bridge
BRIDGES = 16  # at most, however many parts there are
PINCH = 0.25  # pixels; how far a ring that meets itself at a corner steps aside

# Neighbours are numbered clockwise on the screen from the right: 0 right, 1 right and below, 2 below, ...
NEIGHBOUR = np.array([[5, 6, 7], [4, -1, 0], [3, 2, 1]])  # by dy + 1, dx + 1
CORNER = np.array([[1, 1], [0, 1], [0, 0], [1, 0]])  # of a pixel, toward neighbours 1, 3, 5 and 7


def area_of(ring: RingArray) -> float:
    """What the ring encloses, in square pixels; above 0 where it runs clockwise on the screen."""
    after = np.roll(ring, -1, axis=0)
    return float((ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum() / 2)


def outline(mask: BoolArray) -> RingArray:
    """The ring around the mask's largest part, holes counted as part of it.

    Pixels that meet at a corner are one part (8-connected). OpenCV finds the border pixels; the ring runs
    along their outer edges, not through their centres, so it encloses exactly the pixels' area. Where it
    would meet itself at a corner of two pixels it steps a quarter of a pixel aside, which joins the two
    and covers no other pixel's centre.

    Args:
        mask: (H, W) with at least one pixel.

    Returns:
        (N, 2) a vertex at every pixel's corner, clockwise on the screen, meeting itself nowhere. Of parts
        equally large the lowest is taken.
    """
    borders, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # Pick's theorem: the pixels that a closed path through centres encloses, those on it counted.
    largest: Any = max(borders, key=lambda border: cv2.contourArea(border) + len(border) / 2)
    # OpenCV walks counter-clockwise on the screen.
    return _unpinched(_around(largest[::-1, 0].astype(np.int64)))


def _around(border: npt.NDArray[np.int64]) -> RingArray:
    """The outer edges of border pixels (N, 2) that were visited clockwise."""
    if len(border) == 1:
        before, span = np.zeros(1, np.int64), np.array([7])
    else:
        step = np.roll(border, -1, axis=0) - border
        after = NEIGHBOUR[step[:, 1] + 1, step[:, 0] + 1]
        before = (np.roll(after, 1) + 4) % 8
        span = (after - before - 1) % 8 + 1  # a tip is left by the way it was reached: all around, 8
    # Between the neighbour it was reached from and the one it is left for, a pixel borders on background.
    diagonal = (before | 1)[:, None] + np.arange(0, 9, 2)
    pixel, turn = np.nonzero(diagonal <= (before + span)[:, None])
    ring = border[pixel] + CORNER[diagonal[pixel, turn] % 8 // 2]
    corners: RingArray = ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)].astype(np.float64)
    return corners


def _unpinched(ring: RingArray) -> RingArray:
    place = ring[:, 0] + 1j * ring[:, 1]
    _, inverse, counts = np.unique(place, return_inverse=True, return_counts=True)
    twice = (counts[inverse] > 1)[:, None]
    # The two neighbours' mean is where the background pixel lies that this visit passes.
    aside = np.roll(ring, 1, axis=0) + np.roll(ring, -1, axis=0) - 2 * ring
    return np.where(twice, ring + PINCH * aside, ring)


def joined(mask: BoolArray) -> BoolArray:
    """The mask with its parts joined by bridges one pixel wide.

    From the largest part on, each part is joined at its nearest pixel to what is joined already. Left out
    are parts of less than 5 % of the largest one's pixels, parts farther away than the longer side of the
    largest one's box, and all beyond the 16 next largest.
    """
    borders, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if len(borders) == 1:  # the usual case, and quicker told than parts are numbered
        return mask
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = facts[:, cv2.CC_STAT_AREA]
    ranked = [label for label in np.argsort(-sizes, kind="stable") if label > 0]
    reach = facts[ranked[0], [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max()
    whole: BoolArray = labels == ranked[0]
    for label in ranked[1 : 1 + BRIDGES]:
        if sizes[label] < SPECK * sizes[ranked[0]]:
            break
        _join(whole, labels == label, reach)
    return whole


def _join(whole: BoolArray, part: BoolArray, reach: float) -> None:
    away, nearest = cv2.distanceTransformWithLabels(
        (~whole).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    end = np.unravel_index(np.argmin(np.where(part, away, np.inf)), part.shape)
    if away[end] > reach:
        return
    start = np.argwhere(whole & (nearest == nearest[end]))[0]
    cv2.line(whole.view(np.uint8), start[::-1].tolist(), [int(end[1]), int(end[0])], 1)
    whole |= part
