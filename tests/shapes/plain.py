"""Slow and plain answers to compare with, and the real masks."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from keepsight.types import BoolArray

DAVIS = Path("/work/shared/data/davis/val/Annotations/480p")

Points = npt.NDArray[np.float64]


def pairs(polygon: list[float] | None) -> Points:
    assert polygon is not None
    return np.array(polygon).reshape(-1, 2)


def real_masks(step: int) -> dict[str, list[BoolArray]]:
    if not DAVIS.is_dir():
        pytest.skip(f"the DAVIS masks are not at {DAVIS}")
    clips = {}
    for clip in sorted(DAVIS.iterdir()):
        masks = [np.asarray(Image.open(path)) > 0 for path in sorted(clip.glob("*.png"))[::step]]
        clips[clip.name] = [mask for mask in masks if mask.any()]
    return clips


def winding(points: Any, height: int, width: int) -> BoolArray:
    """Pixel by pixel, in fractions: does the ring wind around the centre?"""
    ring = [(Fraction(x), Fraction(y)) for x, y in points]
    mask = np.zeros((height, width), dtype=np.bool_)
    for row in range(height):
        for column in range(width):
            x, y = Fraction(2 * column + 1, 2), Fraction(2 * row + 1, 2)
            turns = 0
            for (x1, y1), (x2, y2) in pairwise([*ring, ring[0]]):
                if min(y1, y2) <= y < max(y1, y2) and x1 + (y - y1) / (y2 - y1) * (x2 - x1) <= x:
                    turns += 1 if y1 < y2 else -1
            mask[row, column] = turns != 0
    return mask


def parts_filled(mask: BoolArray) -> list[BoolArray]:
    """The mask's 8-connected parts without their holes."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    parts = []
    for label in range(1, count):
        outside = np.pad(labels != label, 1, constant_values=True).astype(np.uint8)
        _, ground = cv2.connectedComponents(outside, connectivity=4)
        parts.append((ground != ground[0, 0])[1:-1, 1:-1])
    return parts


def surrounded(mask: BoolArray) -> BoolArray:
    """The largest part, without its holes."""
    return max(parts_filled(mask), key=lambda part: int(part.sum()))


def area(points: Points) -> float:
    after = np.roll(points, -1, axis=0)
    return float((points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0]).sum() / 2)


def iou(one: BoolArray, two: BoolArray) -> float:
    return float((one & two).sum() / (one | two).sum())


def is_simple(points: Points) -> bool:
    """Whether a closed ring neither crosses nor touches itself: every edge against every other."""
    whole = np.rint(points * 4).astype(np.int64)
    assert (whole == points * 4).all()  # quarters of a pixel, so nothing below is rounded
    start, end = whole, np.roll(whole, -1, axis=0)
    count = len(whole)
    if len(np.unique(whole, axis=0)) < count:
        return False
    sides = np.sign(_turns(start, end, start)), np.sign(_turns(start, end, end))
    on_start = (sides[0] == 0) & _between(start, end, start)
    on_end = (sides[1] == 0) & _between(start, end, end)
    crosses = (sides[0] * sides[1] < 0) & (sides[0].T * sides[1].T < 0)
    index = np.arange(count)
    # An edge holds its own two ends and no other corner of the ring.
    on_start[index, index] = on_start[index, (index + 1) % count] = False
    on_end[index, index] = on_end[index, (index - 1) % count] = False
    return not (crosses.any() or on_start.any() or on_end.any())


def _turns(start: Any, end: Any, points: Any) -> Any:
    edge, to = (end - start)[:, None], points[None] - start[:, None]
    return edge[..., 0] * to[..., 1] - edge[..., 1] * to[..., 0]


def _between(start: Any, end: Any, points: Any) -> Any:
    low, high = np.minimum(start, end)[:, None], np.maximum(start, end)[:, None]
    return ((low <= points[None]) & (points[None] <= high)).all(axis=2)


def distance(points: Points, ring: Points) -> Points:
    """How far each point is from the closed ring, in pixels."""
    start, edge = ring, np.roll(ring, -1, axis=0) - ring
    to = points[:, None] - start
    share = np.clip((to * edge).sum(axis=2) / (edge**2).sum(axis=1), 0, 1)
    away: Points = np.hypot(*np.moveaxis(to - share[..., None] * edge, 2, 0)).min(axis=1)
    return away


def along(ring: Points, step: float) -> Points:
    """Points on the closed ring, at most a step apart."""
    pieces = []
    for here, there in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        count = int(np.ceil(np.hypot(*(there - here)) / step)) + 1
        pieces.append(np.linspace(here, there, count))
    return np.concatenate(pieces)


def blob(radius: float, seed: int, corners: int = 24) -> Points:
    """A star-shaped polygon around the origin."""
    random = np.random.default_rng(seed)
    turn = np.sort(random.uniform(0, 2 * np.pi, corners))
    away = radius * random.uniform(0.7, 1.2, corners)
    return np.stack([away * np.cos(turn), away * np.sin(turn)], axis=1)
