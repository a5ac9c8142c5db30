"""Shapes of any kind as prompts and pixels, and masks as shapes of any kind."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import cvat_rle, figure_to_mask, figure_to_prompt, mask_to_figure, mask_to_polygon
from keepsight.types import Box, Mask

SIZE = (40, 50)
KINDS = ("rectangle", "polygon", "mask")


@pytest.mark.parametrize("kind", ["circle", "", "Rectangle"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="rectangle, polygon or mask"):
        figure_to_mask(kind, (1, 2, 3, 4), *SIZE)
    with pytest.raises(UsageError, match="rectangle, polygon or mask"):
        mask_to_figure(kind, np.ones(SIZE, np.bool_))


@pytest.mark.parametrize(
    ("kind", "points", "sentence"),
    [
        ("rectangle", (1, 2, 3), "x1, y1, x2, y2, but got 3 numbers"),
        ("rectangle", (1, 2, 1, 4), "x1 < x2"),
        ("rectangle", (60, 2, 70, 4), "reaches into the frame"),
        ("polygon", (1, 2, 3, 4), "three distinct points"),
        ("mask", (1, 2, 3), "at least five numbers"),
    ],
)
def test_points_that_are_no_shape_are_refused(kind: str, points: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(PromptError, match=sentence):
        figure_to_mask(kind, points, *SIZE)


def test_a_rectangle_is_a_box_whichever_corners_it_is_given_by() -> None:
    for points in ((3, 4, 20, 30), (20, 30, 3, 4), (3, 30, 20, 4)):
        assert figure_to_prompt("rectangle", points, *SIZE) == Box(3, 4, 20, 30)
        assert figure_to_mask("rectangle", points, *SIZE).sum() == 17 * 26


def test_anything_else_is_a_mask() -> None:
    mask = figure_to_mask("rectangle", (3, 4, 20, 30), *SIZE)
    for kind, points in (
        ("polygon", (3, 4, 20, 4, 20, 30, 3, 30)),
        ("mask", tuple(cvat_rle.encode(mask))),
    ):
        prompt = figure_to_prompt(kind, points, *SIZE)
        assert isinstance(prompt, Mask)
        assert (np.asarray(prompt.array) == mask).all()


@given(st.sampled_from(KINDS), st.tuples(*[st.integers(0, 15)] * 4))
def test_a_box_shaped_mask_comes_back_from_every_kind(kind: Any, corners: tuple[int, ...]) -> None:
    x, y, width, height = corners
    mask = np.zeros(SIZE, np.bool_)
    mask[y : y + height + 1, x : x + width + 1] = True
    points = mask_to_figure(kind, mask)
    assert points is not None
    assert (figure_to_mask(kind, points, *SIZE) == mask).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_mask_is_no_shape(kind: str) -> None:
    assert mask_to_figure(kind, np.zeros(SIZE, np.bool_)) is None


def test_a_polygon_is_laid_along_the_one_before() -> None:
    mask = figure_to_mask("polygon", (5, 5, 30, 8, 20, 30), *SIZE)
    before = (20.0, 30.0, 30.0, 8.0, 5.0, 5.0)
    expected = mask_to_polygon(mask, tolerance=2.0, previous=before)
    assert expected is not None
    assert mask_to_figure("polygon", mask, tolerance=2.0, previous=before) == tuple(expected)
