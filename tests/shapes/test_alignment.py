from itertools import pairwise

import numpy as np
import pytest

from keepsight.shapes import mask_to_polygon, polygon_to_mask
from keepsight.types import BoolArray
from tests.shapes.plain import Points, area, is_simple, pairs, real_masks

HEIGHT, WIDTH = 300, 420
MOST = 0.015  # of the outline's length: how far the first vertex may jump along it from frame to frame


def body(frame: int, turn: float, lobes: float) -> Points:
    """A body's outline, always from the same spot on: it moves, breathes, deforms and turns."""
    around = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    away = 60 + 10 * np.sin(frame / 9)
    away = away * (1 + lobes * np.cos(2 * around) + 0.12 * np.cos(3 * around + frame / 15))
    angle = around + np.deg2rad(turn * frame)
    middle = 150 + 1.2 * frame, 150 + 20 * np.sin(frame / 12)
    outline: Points = np.stack([away * np.cos(angle), away * np.sin(angle)], axis=1) + middle
    return outline


def share(spot: Points, outline: Points) -> float:
    """Where on the outline the spot lies, as a share of its length from the first vertex on."""
    lengths = np.hypot(*(np.roll(outline, -1, axis=0) - outline).T)
    nearest = np.argmin(((outline - spot) ** 2).sum(axis=1))
    return float(lengths[:nearest].sum() / lengths.sum())


def tracked(masks: list[BoolArray]) -> list[Points]:
    rings: list[Points] = []
    for mask in masks:
        rings.append(pairs(mask_to_polygon(mask, previous=rings[-1] if rings else None)))
    return rings


@pytest.mark.parametrize("lobes", [0, 0.3])
@pytest.mark.parametrize("turn", [0, 0.5, 1, 2])
def test_the_first_vertex_does_not_wander_on_a_body_that_moves_and_deforms(turn: float, lobes: float) -> None:
    bodies = [body(frame, turn, lobes) for frame in range(80)]
    rings = tracked([polygon_to_mask(outline, HEIGHT, WIDTH) for outline in bodies])
    shares = [share(ring[0], outline) for ring, outline in zip(rings, bodies, strict=True)]
    jumps = (np.diff(shares) + 0.5) % 1 - 0.5
    assert abs(jumps).max() < MOST
    if turn == 0:
        assert abs(np.cumsum(jumps)).max() < 0.06
    assert all(area(ring) > 0 and is_simple(ring) for ring in rings)


def test_each_on_its_own_the_polygons_would_spin() -> None:
    # So the limit above says something.
    bodies = [body(frame, 0, 0.3) for frame in range(80)]
    rings = [pairs(mask_to_polygon(polygon_to_mask(outline, HEIGHT, WIDTH))) for outline in bodies]
    shares = [share(ring[0], outline) for ring, outline in zip(rings, bodies, strict=True)]
    assert abs((np.diff(shares) + 0.5) % 1 - 0.5).max() > 5 * MOST


def test_a_body_at_rest_keeps_its_first_vertex() -> None:
    mask = polygon_to_mask(body(0, 0, 0.3), HEIGHT, WIDTH)
    rings = tracked([mask] * 60)
    assert np.hypot(*(np.array([ring[0] for ring in rings]) - rings[0][0]).T).max() <= 3


def test_a_rolling_ball_does_not_spin_because_it_looks_the_same_all_around() -> None:
    turn = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    circle = 40 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    masks = [
        polygon_to_mask(circle + np.array([60 + 2.3 * frame, 100]), HEIGHT, WIDTH) for frame in range(80)
    ]
    starts = [ring[0] - (60 + 2.3 * frame, 100) for frame, ring in enumerate(tracked(masks))]
    angles = np.unwrap([np.arctan2(y, x) for x, y in starts])
    assert np.ptp(angles) < np.deg2rad(12)


def test_a_polygon_drawn_the_other_way_round_is_followed_that_way() -> None:
    mask = polygon_to_mask(body(0, 0, 0.3), HEIGHT, WIDTH)
    one = body(0, 0, 0.3)
    two = np.concatenate([one[:1], one[:0:-1]])
    forward, backward = (pairs(mask_to_polygon(mask, previous=previous)) for previous in (one, two))
    assert area(forward) > 0
    assert area(backward) < 0
    assert abs(len(forward) - len(backward)) <= 6
    assert np.hypot(*(forward[0] - one[0])) < 3
    assert np.hypot(*(backward[0] - one[0])) < 3


def test_the_start_may_lie_in_the_middle_of_a_side() -> None:
    square = np.zeros((30, 40), dtype=np.bool_)
    square[10:20, 10:20] = True
    ring = pairs(mask_to_polygon(square, previous=[15, 10, 20, 10, 20, 20, 10, 20, 10, 10]))
    assert ring.tolist() == [[15, 10], [20, 10], [20, 20], [10, 20], [10, 10]]


def matching(one: Points, two: Points) -> float:
    """Root mean square distance of points at equal shares of the two lengths, the middles laid together."""
    points = []
    for ring in (one, two):
        closed = np.concatenate([ring, ring[:1]])
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
        at = np.linspace(0, length[-1], 400, endpoint=False)
        points.append(np.stack([np.interp(at, length, closed[:, axis]) for axis in (0, 1)], axis=1))
    away = points[0] - points[0].mean(axis=0) - points[1] + points[1].mean(axis=0)
    return float(np.sqrt((away**2).sum(axis=1).mean()))


def test_what_cvat_draws_between_real_frames_moves_less() -> None:
    for name, masks in real_masks(step=3).items():
        followed = tracked(masks)
        alone = [pairs(mask_to_polygon(mask)) for mask in masks]
        costs = [np.mean([matching(one, two) for one, two in pairwise(rings)]) for rings in (followed, alone)]
        assert costs[0] < costs[1], name
