from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import mask_to_polygon, polygon_to_mask
from keepsight.types import BoolArray
from tests.shapes.plain import (
    along,
    area,
    blob,
    distance,
    iou,
    is_simple,
    pairs,
    parts_filled,
    real_masks,
    surrounded,
)

NOISE = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=14))
SEEDS = st.integers(0, 10**6)


def cloud(seed: int, side: int = 40) -> BoolArray:
    """Ragged blobs: bays, bridges one pixel wide, parts that meet at corners, holes."""
    random = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(random.random((side, side)).astype(np.float32), (0, 0), random.uniform(0.4, 2.5))
    mask: BoolArray = soft > np.quantile(soft, random.uniform(0.1, 0.9))
    return mask


def drawn(*rows: str) -> BoolArray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


@settings(max_examples=300, deadline=None)
@given(NOISE)
def test_without_tolerance_the_polygon_is_the_largest_part_to_the_pixel(mask: BoolArray) -> None:
    polygon = mask_to_polygon(mask, tolerance=0, parts="largest")
    if not mask.any():
        assert polygon is None
        return
    assert is_simple(pairs(polygon))
    assert area(pairs(polygon)) > 0
    back = polygon_to_mask(pairs(polygon), *mask.shape)
    parts = parts_filled(mask)
    assert back.sum() == max(part.sum() for part in parts)
    assert any((back == part).all() for part in parts)


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([0.3, 0.7, 1.0, 2.0, 5.0, 100.0]))
def test_whatever_the_tolerance_the_ring_is_simple_near_and_about_as_large(
    seed: int, tolerance: float
) -> None:
    mask = cloud(seed)
    exact, ring = (
        pairs(mask_to_polygon(mask, tolerance=allowed, parts="largest")) for allowed in (0, tolerance)
    )
    assert len(ring) >= 3
    assert is_simple(ring)
    assert abs(area(ring) / area(exact) - 1) <= 0.1 + 1e-9
    assert distance(exact, ring).max() <= tolerance + 1e-9
    assert distance(along(ring, 0.5), exact).max() <= tolerance + 1e-9
    assert polygon_to_mask(ring, *mask.shape).any()


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_bridges_join_all_parts_worth_it_in_one_simple_ring(seed: int) -> None:
    mask = cloud(seed)
    ring = pairs(mask_to_polygon(mask, tolerance=0))
    assert is_simple(ring)
    assert is_simple(pairs(mask_to_polygon(mask)))
    back = polygon_to_mask(ring, *mask.shape)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = np.where(np.arange(len(facts)) > 0, facts[:, cv2.CC_STAT_AREA], 0)
    largest = int(np.argmax(sizes))
    assert back[labels == largest].all()
    if facts[largest, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max() == mask.shape[0]:  # none is too far
        worth = np.argsort(-sizes, kind="stable")[:17]
        assert back[np.isin(labels, worth[sizes[worth] >= 0.05 * sizes[largest]])].all()


@pytest.mark.parametrize("tolerance", [0, 0.5, 1, 3, 50])
def test_a_rectangle_has_four_corners_on_the_pixels_edges(tolerance: float) -> None:
    mask = np.zeros((9, 12), dtype=np.bool_)
    mask[3:7, 2:11] = True
    assert mask_to_polygon(mask, tolerance=tolerance) == [2, 3, 11, 3, 11, 7, 2, 7]
    assert mask_to_polygon(np.ones((5, 6), dtype=np.bool_), tolerance=tolerance) == [0, 0, 6, 0, 6, 5, 0, 5]


@pytest.mark.parametrize("tolerance", [0, 1, 50])
def test_a_single_pixel_is_a_box(tolerance: float) -> None:
    mask = np.zeros((6, 6), dtype=np.bool_)
    mask[5, 0] = True
    assert mask_to_polygon(mask, tolerance=tolerance) == [0, 5, 1, 5, 1, 6, 0, 6]


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0), (3, 4)])
def test_an_empty_mask_has_no_polygon(shape: tuple[int, int]) -> None:
    assert mask_to_polygon(np.zeros(shape, dtype=np.bool_)) is None


def test_a_line_of_single_pixels_is_one_part() -> None:
    slope = np.eye(12, dtype=np.bool_) | np.eye(12, dtype=np.bool_)[:, ::-1]
    for tolerance in (0.0, 1.0):
        ring = mask_to_polygon(slope, tolerance=tolerance)
        assert is_simple(pairs(ring))
        assert iou(polygon_to_mask(pairs(ring), 12, 12), slope) > 0.7


def test_a_thin_tail_does_not_fold_onto_itself() -> None:
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[10:30, 5:25] = True
    for column in range(25, 58):
        mask[20 + (column - 25) // 5, column] = True
    for tolerance in (0.5, 1, 2, 4):
        ring = pairs(mask_to_polygon(mask, tolerance=tolerance))
        assert is_simple(ring)
        assert ring[:, 0].max() >= 58 - tolerance


def test_the_largest_part_is_kept_and_its_holes_are_filled() -> None:
    mask = drawn("####....", "#..#.##.", "#..#.##.", "####.##.")
    assert mask_to_polygon(mask, tolerance=0, parts="largest") == [0, 0, 4, 0, 4, 4, 0, 4]


def test_of_parts_equally_large_always_the_same_one_is_kept() -> None:
    mask = drawn("##....", "##..##", "....##")
    assert mask_to_polygon(mask, parts="largest") == [4, 1, 6, 1, 6, 3, 4, 3]


def test_parts_are_joined_but_for_specks_and_what_is_far_away() -> None:
    mask = np.zeros((20, 80), dtype=np.bool_)
    mask[2:18, 2:14] = mask[5:15, 18:26] = mask[8:12, 30:38] = True
    expected = mask.copy()
    mask[0, 39] = mask[2:10, 70:80] = True
    back = polygon_to_mask(pairs(mask_to_polygon(mask, tolerance=0)), 20, 80)
    assert (back >= expected).all()
    assert (back & ~expected).sum() <= 8  # two bridges, four pixels long
    alone = mask_to_polygon(mask, parts="largest")
    assert alone == mask_to_polygon(mask[:, :16]) == [2, 2, 14, 2, 14, 18, 2, 18]


def test_a_polygon_drawn_comes_back_from_its_mask() -> None:
    for radius, least in ((4, 0.75), (10, 0.9), (40, 0.97)):
        for seed in range(20):
            shape = blob(radius, seed) + 64.3
            ring = pairs(mask_to_polygon(polygon_to_mask(shape, 128, 128)))
            # Compared eight times as fine as the pixels of the mask that lay between.
            fine = [polygon_to_mask(polygon * 8, 1024, 1024) for polygon in (shape, ring)]
            assert iou(*fine) > least


@pytest.mark.parametrize(
    ("tolerance", "least", "mean", "vertices"),
    [(0, 1.0, 1.0, 1000), (0.5, 0.999, 0.999, 800), (1, 0.96, 0.99, 165), (2, 0.94, 0.98, 85)],
)
def test_real_masks_come_back(tolerance: float, least: float, mean: float, vertices: int) -> None:
    overlaps, counts = [], []
    for masks in real_masks(step=15).values():
        for mask in masks:
            ring = pairs(mask_to_polygon(mask, tolerance=tolerance, parts="largest"))
            assert len(ring) > 500 or is_simple(ring)  # slow; shown above for smaller ones
            overlaps.append(iou(polygon_to_mask(ring, *mask.shape), surrounded(mask)))
            counts.append(len(ring))
    assert min(overlaps) >= least
    assert np.mean(overlaps) >= mean
    assert np.mean(counts) <= vertices


def test_joined_parts_keep_more_of_a_real_object_behind_posts() -> None:
    kept: dict[str, list[float]] = {"largest": [], "joined": []}
    for mask in real_masks(step=4)["libby"]:
        for parts, overlaps in kept.items():
            ring = pairs(mask_to_polygon(mask, parts=parts))  # type: ignore[arg-type]
            assert is_simple(ring)
            overlaps.append(iou(polygon_to_mask(ring, *mask.shape), mask))
    assert np.mean(kept["joined"]) > 0.94
    assert np.mean(kept["largest"]) < 0.75


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf"), "1"])
def test_a_tolerance_is_a_number_of_pixels(tolerance: Any) -> None:
    with pytest.raises(UsageError, match="tolerance in pixels"):
        mask_to_polygon(np.ones((4, 4), dtype=np.bool_), tolerance=tolerance)


@pytest.mark.parametrize("mask", [np.ones((4, 4), np.uint8), np.ones((1, 4, 4), np.bool_), [[True]]])
def test_only_bool_masks_have_polygons(mask: Any) -> None:
    with pytest.raises(UsageError, match=r"\(H, W\) bool array"):
        mask_to_polygon(mask)


def test_other_arguments_are_checked_even_for_an_empty_mask() -> None:
    empty = np.zeros((4, 4), dtype=np.bool_)
    with pytest.raises(UsageError, match="'joined' or 'largest'"):
        mask_to_polygon(empty, parts="all")  # type: ignore[arg-type]
    with pytest.raises(PromptError, match="three distinct points"):
        mask_to_polygon(empty, previous=[1, 2, 3, 4])
