from typing import Any

import numpy as np
import pytest

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import mask_to_rectangle, rectangle_corners, rectangle_to_mask
from keepsight.types import ObjectResult


def test_there_and_back_is_exact() -> None:
    mask = rectangle_to_mask([2, 3, 7, 5], 8, 9)
    assert mask.sum() == 10
    assert mask[3:5, 2:7].all()
    assert mask_to_rectangle(mask) == [2, 3, 7, 5]
    assert mask_to_rectangle(mask) == list(ObjectResult(mask, 1, 1, True).box or ())
    assert mask_to_rectangle(np.zeros((3, 3), dtype=np.bool_)) is None


def test_a_turn_is_clockwise_on_the_screen_about_the_centre() -> None:
    # A quarter turn brings the top left corner to the top right.
    assert rectangle_corners([0, 2, 8, 6], 90).round(9).tolist() == [[6, 0], [6, 8], [2, 8], [2, 0]]
    mask = rectangle_to_mask([0, 2, 8, 6], 8, 8, rotation=90)
    assert mask[:, 2:6].all()
    assert mask.sum() == 32
    raised = rectangle_to_mask([10, 28, 50, 32], 60, 60, rotation=45)
    assert raised[42, 42]
    assert raised[17, 17]
    assert not raised[17, 42]


@pytest.mark.parametrize("rotation", [0, 17, 90, 135, 180, 300, -40])
def test_the_rectangle_found_is_the_one_drawn_to_a_pixel(rotation: float) -> None:
    drawn = [40.0, 60.0, 110.0, 95.0]
    mask = rectangle_to_mask(drawn, 160, 160, rotation=rotation)
    found = mask_to_rectangle(mask, rotation=rotation)
    assert found is not None
    assert abs(np.array(found) - drawn).max() <= 1
    # Nothing of the mask lies outside it.
    assert (rectangle_to_mask(found, 160, 160, rotation=rotation) >= mask).all()


@pytest.mark.parametrize(
    "points", [[], [1, 2, 3], [1, 2, 3, 4, 5], [3, 2, 1, 4], [1, 2, 1, 4], [1, 2, np.nan, 4], ["a"] * 4, None]
)
def test_what_is_no_rectangle_is_refused(points: Any) -> None:
    with pytest.raises(PromptError, match="x1, y1, x2, y2 with x1 < x2"):
        rectangle_to_mask(points, 10, 10)


def test_a_rectangle_outside_the_frame_is_refused() -> None:
    with pytest.raises(PromptError, match="reaches into the frame"):
        rectangle_to_mask([20, 2, 30, 8], 10, 10)


def test_a_rotation_is_a_number() -> None:
    for rotation in (np.nan, np.inf, "90"):
        with pytest.raises(UsageError, match="rotation in degrees"):
            mask_to_rectangle(np.ones((2, 2), dtype=np.bool_), rotation=rotation)  # type: ignore[arg-type]
