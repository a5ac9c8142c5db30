import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keepsight.errors import PromptError, UsageError
from keepsight.shapes import cvat_rle
from keepsight.types import BoolArray
from tests.shapes.plain import real_masks

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


def sdk() -> Any:
    return pytest.importorskip("cvat_sdk.masks", reason="needs cvat-sdk (pip install 'cvat-sdk[masks]')")


@pytest.mark.parametrize(
    ("corner", "points"),
    [
        ((1, 2), [1, 7, 1, 2, 4, 3]),
        ((0, 0), [1, 7, 0, 0, 3, 1]),
    ],
)
def test_the_documented_example(corner: tuple[int, int], points: list[int]) -> None:
    left, top = corner
    mask = np.zeros((5, 6), dtype=np.bool_)
    mask[top : top + 2, left : left + 4] = [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert cvat_rle.encode(mask) == points
    assert (cvat_rle.decode(points, 5, 6) == mask).all()


def test_a_code_that_begins_with_the_object_begins_with_a_zero() -> None:
    assert cvat_rle.encode(np.array([[True, False], [True, True]])) == [0, 1, 1, 2, 0, 0, 1, 1]
    assert cvat_rle.encode(np.ones((3, 2), dtype=np.bool_)) == [0, 6, 0, 0, 1, 2]


@settings(max_examples=200, deadline=None)
@given(MASKS)
def test_there_and_back_is_exact(mask: BoolArray) -> None:
    if not mask.any():
        return
    points = cvat_rle.encode(mask)
    assert len(points) >= 6
    assert all(type(number) is int for number in points)
    assert (cvat_rle.decode(points, *mask.shape) == mask).all()
    assert (cvat_rle.decode([float(number) for number in points], *mask.shape) == mask).all()
    assert (cvat_rle.decode(np.array(points), *mask.shape) == mask).all()


@settings(max_examples=200, deadline=None)
@given(MASKS)
def test_the_code_is_cvats_own(mask: BoolArray) -> None:
    if mask.any():
        assert cvat_rle.encode(mask) == sdk().encode_mask(mask)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(-1, 6) | st.sampled_from([0.5, 2.0, math.inf, math.nan]), max_size=9))
def test_what_cvat_refuses_is_refused_and_what_it_reads_is_read_alike(points: list[float]) -> None:
    try:
        expected = sdk().decode_mask(points, image_width=5, image_height=4)
    except (ValueError, OverflowError):
        with pytest.raises(PromptError):
            cvat_rle.decode(points, 4, 5)
    else:
        assert (cvat_rle.decode(points, 4, 5) == expected).all()


def test_real_masks_are_exact() -> None:
    for masks in real_masks(step=30).values():
        for mask in masks:
            points = cvat_rle.encode(mask)
            assert points == sdk().encode_mask(mask)
            assert (cvat_rle.decode(points, *mask.shape) == mask).all()


def test_a_view_that_is_not_contiguous_is_read_as_it_looks() -> None:
    mask = np.random.default_rng(0).random((9, 14)) < 0.5
    assert cvat_rle.encode(mask.T[::2]) == cvat_rle.encode(mask.T[::2].copy())


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "but got 0"),
        ([0, 0, 1, 1], "but got 4"),
        ([1, 7.5, 1, 2, 4, 3], "whole, but got 7.5"),
        ([1, math.nan, 1, 2, 4, 3], "whole, but got nan"),
        ([1, 1e300, 1, 2, 4, 3], "whole, but got 1e"),
        ([1, 2**60, 1, 2, 4, 3], "whole, but got 1152921504606846976"),
        ([1, 2**70, 1, 2, 4, 3], "list of numbers"),
        (["1", "7", "1", "2", "4", "3"], "list of numbers"),
        ([1, None, 1, 2, 4, 3], "list of numbers"),
        ([[1, 7], 1, 2, 4, 3], "list of numbers"),
        ([[1, 7, 1, 2, 4, 3]], "list of numbers"),
        ("17", "list of numbers"),
        (None, "list of numbers"),
        ([1, 7, 4, 2, 1, 3], "within the frame, 6 x 5 pixels, but got 4, 2, 1, 3"),
        ([1, 7, 1, 3, 4, 2], "within the frame"),
        ([1, 7, -1, 2, 2, 3], "within the frame"),
        ([1, 7, 3, 2, 6, 3], "within the frame"),
        ([1, 7, 1, 4, 4, 5], "within the frame"),
        ([-1, 9, 1, 2, 4, 3], "0 or more, but got -1"),
        ([1, 8, 1, 2, 4, 3], "4 x 2 pixels, 8 in all, but they hold 9"),
        ([1, 6, 1, 2, 4, 3], "but they hold 7"),
        ([2**52, 2**52, 1, 2, 4, 3], f"but they hold {2**53}"),
        ([*[2**52] * 4096, 8, 1, 2, 4, 3], f"but they hold {2**64 + 8}"),  # 8 in 64 bits
    ],
)
def test_a_code_that_is_none_is_refused_with_the_reason(points: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        cvat_rle.decode(points, 5, 6)


def test_a_frame_has_pixels() -> None:
    with pytest.raises(UsageError, match="whole numbers from 1 on"):
        cvat_rle.decode([0, 1, 0, 0, 0, 0], 0, 6)


def test_an_empty_mask_has_no_code_to_send_but_one_received_is_read() -> None:
    with pytest.raises(PromptError, match="Send null instead"):
        cvat_rle.encode(np.zeros((4, 4), dtype=np.bool_))
    assert not cvat_rle.decode([1, 0, 0, 0, 0], 4, 4).any()


@pytest.mark.parametrize("mask", [np.ones((4, 4), np.uint8), np.ones((1, 4, 4), np.bool_), [[True]]])
def test_only_bool_masks_are_encoded(mask: Any) -> None:
    with pytest.raises(UsageError, match=r"\(H, W\) bool array"):
        cvat_rle.encode(mask)
