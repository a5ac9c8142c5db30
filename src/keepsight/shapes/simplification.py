"""Fewer vertices for a ring, within a tolerance and without crossings."""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.shapes.filling import RingArray
from keepsight.shapes.outline import area_of
from keepsight.types import BoolArray

__all__ = ["simplified"]

AREA_SLACK = 0.1  # of the ring's area; a few pixels across, an object would lose more within a tolerance
ROUNDING = 1e-9  # pixels; a vertex this near a straight line lies on it
PAIRS_AT_ONCE = 1_000_000  # bounds the memory of the crossing check

IndexArray = npt.NDArray[np.int64]


class _Arcs(NamedTuple):
    """The stretches of a ring between kept vertices.

    Attributes:
        start: (K,) index of the first vertex; the first is 0.
        stray: (K,) how far, in pixels, a vertex between lies from the straight line; 0 where none lies.
        farthest: (K,) index of that vertex.
    """

    start: IndexArray
    stray: RingArray
    farthest: IndexArray


def simplified(ring: RingArray, tolerance: float) -> RingArray:
    """A ring through some of the vertices (Douglas-Peucker), the first one among them.

    OpenCV simplifies; vertices are added back where its result strays further than the tolerance (it
    drops some after the algorithm proper: up to 1.3 times), where it would meet itself, and as long as its
    area differs from the ring's by more than a tenth.

    Args:
        ring: (N, 2), meeting itself nowhere.
        tolerance: pixels; no point of the ring is farther than this from the result, nor the other way
            round.

    Returns:
        (K, 2) with K >= 3, in the same direction, meeting itself nowhere.
    """
    coarsest = cv2.approxPolyDP(ring.astype(np.float32)[:, None], tolerance, True)[:, 0].astype(np.float64)
    kept = np.isin(ring[:, 0] + 1j * ring[:, 1], coarsest[:, 0] + 1j * coarsest[:, 1])
    kept[0] = kept[np.argmax(((ring - ring[0]) ** 2).sum(axis=1))] = True
    while True:
        arcs = _arcs(ring, np.flatnonzero(kept))
        coarse = arcs.stray > tolerance + ROUNDING
        if not coarse.any():
            coarse = (arcs.stray > ROUNDING) & _flawed(ring, arcs)
        if not coarse.any():
            return ring[kept]
        kept[arcs.farthest[coarse]] = True


def _arcs(ring: RingArray, start: IndexArray) -> _Arcs:
    lengths = np.diff(start, append=len(ring))
    origin = np.repeat(ring[start], lengths, axis=0)
    chord = np.repeat(np.roll(ring[start], -1, axis=0), lengths, axis=0) - origin
    along = ring - origin
    share = (along * chord).sum(axis=1) / np.maximum((chord**2).sum(axis=1), 1e-12)
    away = np.hypot(*(along - np.clip(share, 0, 1)[:, None] * chord).T)
    stray = np.maximum.reduceat(away, start)
    at_most = np.flatnonzero(away == np.repeat(stray, lengths))
    return _Arcs(start, stray, at_most[np.searchsorted(at_most, start)])


def _flawed(ring: RingArray, arcs: _Arcs) -> BoolArray:
    """The arcs to be split for the sake of the whole."""
    corners = ring[arcs.start]
    area = area_of(ring)
    if len(corners) < 3 or abs(area_of(corners) - area) > AREA_SLACK * abs(area):
        worst: BoolArray = arcs.stray >= arcs.stray.max() / 2
        return worst
    meeting = np.zeros(len(corners), dtype=np.bool_)
    meeting[_meeting(corners)] = True
    return meeting


def _meeting(corners: RingArray) -> IndexArray:
    """The edges, by their first corner's index, that touch or cross others than their neighbours.

    An edge folded back onto its neighbour is found too: the edge after the shorter of the two touches the
    longer one.
    """
    count = len(corners)
    start, end = corners, np.roll(corners, -1, axis=0)
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.argsort(low[:, 0], kind="stable")
    # In this order the edges that may meet an edge, as far as x goes, follow it directly.
    ahead = np.searchsorted(low[order, 0], high[order, 0], side="right") - np.arange(1, count + 1)
    found = [np.zeros(0, dtype=np.int64)]
    for first, last in _portions(ahead):
        portion = ahead[first:last]
        one = np.repeat(np.arange(first, last), portion)
        two = np.arange(len(one)) - np.repeat(np.cumsum(portion) - portion, portion) + one + 1
        one, two = order[one], order[two]
        near = (low[one, 1] <= high[two, 1]) & (low[two, 1] <= high[one, 1])
        near &= (abs(one - two) != 1) & (abs(one - two) != count - 1)
        one, two = one[near], two[near]
        apart = _same_side(start[one], end[one], start[two], end[two])
        apart |= _same_side(start[two], end[two], start[one], end[one])
        found += [one[~apart], two[~apart]]
    return np.concatenate(found)


def _portions(ahead: IndexArray) -> list[tuple[int, int]]:
    total = np.cumsum(ahead)
    cuts = np.searchsorted(total, np.arange(PAIRS_AT_ONCE, total[-1], PAIRS_AT_ONCE)) + 1
    bounds = np.unique(np.concatenate([[0], cuts, [len(ahead)]])).tolist()
    return list(pairwise(bounds))


def _same_side(start: RingArray, end: RingArray, one: RingArray, two: RingArray) -> BoolArray:
    """Whether both points lie on one side of the line, neither on it."""
    sides: BoolArray = _turn(start, end, one) * _turn(start, end, two) > 0
    return sides


def _turn(a: RingArray, b: RingArray, c: RingArray) -> RingArray:
    turn: RingArray = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return turn
