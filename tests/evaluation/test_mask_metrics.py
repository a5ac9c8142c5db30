import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keepsight.evaluation import boundary, contour_accuracy, region_iou, statistics_of
from keepsight.evaluation.contour import tolerance_in_pixels
from tests.evaluation import plain

Bits = npt.NDArray[np.bool_]
SMALL = st.tuples(st.integers(1, 7), st.integers(1, 7))
PAIRS = SMALL.flatmap(lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape)))


def square(height: int, width: int, top: int, left: int, side: int) -> Bits:
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def blotch(seed: int, height: int, width: int) -> Bits:
    """A few ellipses, as masks of real things are: mostly smooth, sometimes at the edge."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.bool_)
    for _ in range(3):
        cy, cx = random.uniform(0, height), random.uniform(0, width)
        ry, rx = random.uniform(2, height / 3), random.uniform(2, width / 3)
        mask |= ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    return mask


def test_region_of_known_masks() -> None:
    a, b = square(20, 20, 0, 0, 10), square(20, 20, 5, 0, 10)
    assert region_iou(a, b) == 50 / 150
    assert region_iou(a, a) == 1
    assert region_iou(a, ~a) == 0
    nothing = np.zeros((20, 20), np.bool_)
    assert region_iou(nothing, nothing) == 1
    assert region_iou(a, nothing) == region_iou(nothing, a) == 0


def test_boundary_of_a_known_mask() -> None:
    rows = ["......", ".##...", ".##...", "......"]
    mask = np.array([[c == "#" for c in row] for row in rows])
    found = ["".join("#" if cell else "." for cell in row) for row in boundary(mask)]
    # One row and one column before the object, and its own last row and column.
    assert found == ["###...", "#.#...", "###...", "......"]


def test_a_mask_that_fills_the_image_has_no_boundary() -> None:
    full = np.ones((6, 8), np.bool_)
    assert not boundary(full).any()
    # With no boundary on either side there is nothing to get wrong, however much the regions differ.
    assert contour_accuracy(full, np.zeros((6, 8), np.bool_)) == 1


def test_contour_of_empty_masks() -> None:
    something, nothing = square(20, 20, 5, 5, 6), np.zeros((20, 20), np.bool_)
    assert contour_accuracy(nothing, nothing) == 1
    assert contour_accuracy(something, nothing) == 0
    assert contour_accuracy(nothing, something) == 0


@pytest.mark.parametrize(
    ("height", "width", "pixels"),
    [(480, 854, 8), (1080, 1920, 18), (240, 427, 4), (48, 80, 1), (300, 400, 4)],
)
def test_the_tolerance_is_rounded_up(height: int, width: int, pixels: int) -> None:
    assert tolerance_in_pixels(height, width) == pixels


def test_a_shift_within_the_tolerance_costs_nothing_and_one_beyond_it_does() -> None:
    # 300 x 400: the diagonal is 500, the tolerance 4.
    truth = square(300, 400, 100, 100, 60)
    assert contour_accuracy(square(300, 400, 100, 104, 60), truth) == 1
    assert contour_accuracy(square(300, 400, 100, 105, 60), truth) < 1


def test_precision_and_recall_are_weighed_as_defined() -> None:
    # All of the true outline is found, and another, equally long one that is not there: P = 1/2, R = 1.
    truth = square(300, 400, 50, 50, 40)
    both = truth | square(300, 400, 200, 200, 40)
    assert contour_accuracy(both, truth) == pytest.approx(2 * 0.5 / 1.5)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_region_and_contour_are_those_of_the_plain_definitions(pair: tuple[Bits, Bits]) -> None:
    found, truth = pair
    assert region_iou(found, truth) == pytest.approx(plain.jaccard(found, truth))
    assert set(zip(*map(list, np.nonzero(boundary(found))), strict=True)) == set(plain.outline(found))
    assert contour_accuracy(found, truth) == pytest.approx(plain.f_measure(found, truth))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", [0.008, 0.05])
def test_contour_of_rounded_masks_is_that_of_the_plain_definition(seed: int, part: float) -> None:
    height, width = 40 + 7 * seed, 70 - 5 * seed
    truth = blotch(seed, height, width)
    for found in (np.roll(truth, 2 + seed % 4, axis=seed % 2), blotch(seed + 100, height, width)):
        expected = plain.f_measure(found, truth, part)
        assert contour_accuracy(found, truth, part) == pytest.approx(expected)


def test_statistics_of_known_values() -> None:
    # 9 frames: the quarters end at frames 1, 3, 5, 7 and 9, and share these frames.
    values = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    found = statistics_of(values)
    assert found.mean == pytest.approx(0.6)
    assert found.recall == pytest.approx(5 / 9)  # 0.5 itself does not count
    assert found.decay == pytest.approx(0.9 - 0.3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=120))
def test_decay_is_that_of_the_plain_definition(values: list[float]) -> None:
    assert statistics_of(values).decay == pytest.approx(plain.decay(values))


def test_decay_beyond_the_256th_frame() -> None:
    values = np.linspace(1, 0, 1001)
    assert statistics_of(values).decay == pytest.approx(0.75)


def test_values_that_are_no_numbers() -> None:
    found = statistics_of([float("nan"), 1.0, 1.0, 0.0])
    assert found.mean == pytest.approx(2 / 3)
    assert found.recall == 0.5  # they count as misses
    assert all(math.isnan(value) for value in statistics_of([]))
    assert math.isnan(statistics_of([float("nan")]).mean)
