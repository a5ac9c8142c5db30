from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import polygon_to_mask
from tests.shapes.plain import area, blob, winding

QUARTERS = st.integers(-12, 44).map(lambda n: n / 4)  # centres of pixels lie on many an edge


@settings(max_examples=150, deadline=None)
@example([(0, 0), (-0.25, 6.25), (6.25, -0.25)])
@given(st.lists(st.tuples(QUARTERS, QUARTERS), min_size=3, max_size=9))
def test_a_pixel_belongs_to_the_polygon_exactly_when_its_centre_does(points: Any) -> None:
    expected = winding(points, 7, 8)
    try:
        mask = polygon_to_mask(points, 7, 8)
    except PromptError:
        assert not expected.any()
    else:
        # What holds no centre is shown by the pixels that its edges pass.
        assert (mask == expected).all() or (mask.any() and not expected.any())


@pytest.mark.parametrize("radius", [3, 8, 20])
def test_the_area_is_kept_wherever_between_pixels_the_polygon_lies(radius: float) -> None:
    ours, opencv = [], []
    for seed in range(4):
        shape = blob(radius, seed) + 32
        for x in np.arange(0, 1, 0.125):
            for y in np.arange(0, 1, 0.125):
                moved = shape + np.array([x, y])
                ours.append(polygon_to_mask(moved, 64, 64).sum() / area(shape) - 1)
                canvas = np.zeros((64, 64), np.uint8)
                cv2.fillPoly(canvas, [np.rint((moved - 0.5) * 256).astype(np.int32)], 1, shift=8)
                opencv.append(canvas.sum() / area(shape) - 1)
    assert abs(np.mean(ours)) < 0.002
    assert np.mean(opencv) > 0.05  # why it is not used


@pytest.mark.parametrize("seed", range(5))
def test_polygons_that_share_an_edge_share_no_pixel_and_leave_none_out(seed: int) -> None:
    random = np.random.default_rng(seed)
    left, right = random.integers(0, 40, 2) / 4
    one = polygon_to_mask([0, 0, left, 0, right, 10, 0, 10], 10, 10)
    other = polygon_to_mask([left, 0, 10, 0, 10, 10, right, 10], 10, 10)
    assert (one ^ other).all()


def test_a_rectangle_on_pixel_edges_is_those_pixels() -> None:
    mask = polygon_to_mask([2, 3, 7, 3, 7, 5, 2, 5], 8, 9)
    expected = np.zeros((8, 9), dtype=np.bool_)
    expected[3:5, 2:7] = True
    assert mask.dtype == np.bool_
    assert (mask == expected).all()


def test_every_way_to_write_the_points_means_the_same() -> None:
    flat = [1, 1, 6.5, 2, 3, 7]
    expected = polygon_to_mask(flat, 8, 8)
    for points in (
        np.array(flat, dtype=np.float32),
        np.array(flat).reshape(-1, 2),
        [(1, 1), (6.5, 2), (3, 7)],
        [*flat, 1, 1],
        [3, 7, 6.5, 2, 1, 1],
    ):
        assert (polygon_to_mask(points, 8, 8) == expected).all()


def test_a_ring_that_crosses_itself_is_filled_wherever_it_winds_around() -> None:
    star = [(8 + 8 * np.sin(turn), 8 - 8 * np.cos(turn)) for turn in np.arange(5) * 4 * np.pi / 5]
    assert polygon_to_mask(star, 16, 16)[8, 8]  # the even-odd rule would leave a hole
    eight = polygon_to_mask([0, 0, 8, 8, 8, 0, 0, 8], 8, 8)
    assert eight[4, 0]
    assert eight[4, 7]
    assert not eight[0, 4]


def test_the_mask_is_clipped_to_the_frame() -> None:
    assert polygon_to_mask([-1e6, -1e6, 1e6, -1e6, 1e6, 1e6, -1e6, 1e6], 5, 6).all()
    half = polygon_to_mask([-50, -50, 3, -50, 3, 50, -50, 50], 5, 6)
    assert half[:, :3].all()
    assert not half[:, 3:].any()


def test_very_many_edges_make_no_difference() -> None:
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    circle = np.stack([32 + 30 * np.cos(turn), 32 + 30 * np.sin(turn)], axis=1)
    rows, columns = np.mgrid[:64, :64] + 0.5
    assert (polygon_to_mask(circle, 64, 64) == (np.hypot(rows - 32, columns - 32) < 30)).all()


def test_what_holds_no_centre_still_marks_the_pixels_it_passes() -> None:
    wire = polygon_to_mask([3.6, 1, 4.4, 1, 4.4, 9, 3.6, 9], 10, 10)
    assert wire[1:9, 3:5].all()
    assert wire.sum() <= 20
    speck = polygon_to_mask([3.1, 6.1, 3.3, 6.1, 3.2, 6.3], 10, 10)
    assert np.argwhere(speck).tolist() == [[6, 3]]
    slope = polygon_to_mask([0.1, 0.2, 9.1, 9.2, 9.2, 9.2], 10, 10)
    assert slope.any(axis=0).all()


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "three distinct points, but got 0"),
        ([1, 2, 3, 4], "three distinct points, but got 2"),
        ([1, 2, 1, 2, 1, 2, 3, 3], "three distinct points, but got 2"),
        ([1, 1, 2, 2, 4, 4, 3, 3], "on one line"),
        ([0.1, 0.1, 0.2, 0.2, 0.7, 0.7], "on one line"),
        ([1, 2, 3, 4, 5], "Every x needs its y"),
        (np.zeros((3, 3)), "Every x needs its y"),
        (5.0, "Every x needs its y"),
        ([0, 0, 4, 0, np.nan, 4], "finite numbers"),
        ([0, 0, 4, 0, np.inf, 4], "finite numbers"),
        ([0, 0, 4, 0, 1e8, 4], "finite numbers"),
        ([0, 0, 4, 0, "a", 4], "list of numbers"),
        ([[0, 0], [4, 0], [4]], "list of numbers"),
        ({"x": 1}, "list of numbers"),
        ([-9, -9, -1, -9, -1, -1], "reaches into the frame, 8 x 6 pixels"),
        ([8, 1, 12, 1, 12, 4], "reaches into the frame"),
        ([-30, 0, -30, 9, 60, 40, 60, 39, -29, 8, -29, 0], "reaches into the frame"),
    ],
)
def test_what_is_no_polygon_in_the_frame_is_refused(points: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        polygon_to_mask(points, 6, 8)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5), (5, 2.5)])
def test_a_frame_has_pixels(size: Any) -> None:
    with pytest.raises(UsageError, match="whole numbers from 1 on"):
        polygon_to_mask([0, 0, 4, 0, 4, 4], *size)
