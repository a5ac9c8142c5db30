"""Masks brought to the original size, against transformers', and cleaned, against scipy's labelling."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from keepsight.compat.sam3_tracker_video.post_processing import post_process_masks
from keepsight.compat.sam3_tracker_video.processor import Sam3TrackerVideoProcessor
from keepsight.errors import KeepsightError, UsageError

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

SIZES = [(37, 61), (20, 9)]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return transformers.Sam3TrackerVideoProcessor(
        transformers.Sam3ImageProcessor(), transformers.Sam2VideoVideoProcessor()
    )


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 8


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"binarize": False},
        {"mask_threshold": 2.5},
        {"apply_non_overlapping_constraints": True},
        {"apply_non_overlapping_constraints": True, "binarize": False},
        {"max_hole_area": 0, "max_sprinkle_area": 0.0, "pad_size": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("objects", [1, 4])
def test_masks_are_those_of_transformers(theirs: Any, asked: dict[str, Any], objects: int) -> None:
    ours = Sam3TrackerVideoProcessor()
    masks = [logits(objects, 1, 16, 16), logits(objects, 3, 8, 8, seed=1)]
    expected = theirs.post_process_masks(list(masks), SIZES, **asked)
    for given_masks, given_sizes in (
        (masks, SIZES),
        ([mask.numpy() for mask in masks], np.array(SIZES)),
        (tuple(masks), torch.tensor(SIZES)),
        (masks, [torch.tensor(size) for size in SIZES]),
    ):
        got = ours.post_process_masks(given_masks, given_sizes, **asked)
        assert isinstance(got, list)
        for mine, original in zip(got, expected, strict=True):
            assert mine.dtype == original.dtype
            torch.testing.assert_close(mine, original, atol=1e-6, rtol=1e-6)


def test_what_is_given_is_not_changed() -> None:
    arrays_given: list[Any] = [logits(2, 1, 16, 16).numpy()]
    copies = [mask.copy() for mask in arrays_given]
    post_process_masks(arrays_given, [(16, 16)], max_hole_area=9, max_sprinkle_area=9)
    assert isinstance(arrays_given[0], np.ndarray)
    np.testing.assert_array_equal(arrays_given[0], copies[0])


def reference(scores: Any, threshold: float, holes: float, sprinkles: float) -> Any:
    """Small regions of one plane by scipy: first what is not the object, then what is."""
    corners_too = np.ones((3, 3))
    for most, is_hole in ((holes, True), (sprinkles, False)):
        region = scores <= threshold if is_hole else scores > threshold
        numbers, count = ndimage.label(region, corners_too)
        for number in range(1, count + 1):
            inside = numbers == number
            if 0 < most and inside.sum() <= most:
                scores = np.where(inside, threshold + (0.1 if is_hole else -0.1), scores)
    return scores


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([-4.0, 0.0, 1.0, 4.0]),
    ),
    st.sampled_from([0.0, 1.0, -0.5]),
    st.sampled_from([0, 1, 3, 4.5, 100]),
    st.sampled_from([0, 1, 3, 4.5, 100]),
)
def test_holes_are_filled_and_sprinkles_removed(
    scores: Any, threshold: float, holes: float, sprinkles: float
) -> None:
    size = scores.shape[-2:]
    asked: dict[str, Any] = {
        "mask_threshold": threshold,
        "max_hole_area": holes,
        "max_sprinkle_area": sprinkles,
    }
    got = post_process_masks([scores], [size], binarize=False, **asked)[0]
    binary = post_process_masks([scores], [size], **asked)[0]

    expected = np.stack(
        [[reference(plane, threshold, holes, sprinkles) for plane in planes] for planes in scores]
    )
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(binary.numpy(), expected > threshold)


def test_areas_are_counted_in_pixels_of_the_original_size() -> None:
    small = torch.full((1, 1, 8, 8), 5.0)
    small[..., 4, 4] = -50.0  # after resizing to 32 x 32 some 40 pixels
    open_pixels = int((~post_process_masks([small], [(32, 32)])[0]).sum())
    assert open_pixels > 1
    assert not post_process_masks([small], [(32, 32)], max_hole_area=open_pixels - 1)[0].all()
    assert post_process_masks([small], [(32, 32)], max_hole_area=open_pixels)[0].all()


def test_a_hole_in_which_another_object_lies_stays_its() -> None:
    masks = torch.full((2, 1, 6, 6), -4.0)
    masks[0] = 4.0
    masks[:, :, 2, 2] = torch.tensor([[-4.0], [2.0]])
    got = post_process_masks([masks], [(6, 6)], max_hole_area=2, apply_non_overlapping_constraints=True)[0]
    assert not got[0, 0, 2, 2]
    assert got[1, 0, 2, 2]
    assert got.sum() == 36


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_cleaning_keeps_the_type(kind: torch.dtype) -> None:
    masks = logits(2, 1, 12, 12).to(kind)
    got = post_process_masks([masks], [(12, 12)], binarize=False, max_hole_area=5, max_sprinkle_area=5)[0]
    assert got.dtype == kind
    assert not torch.equal(got, masks)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cleaning_runs_on_a_gpu() -> None:
    masks = logits(3, 1, 32, 32)
    asked: dict[str, Any] = {
        "max_hole_area": 6,
        "max_sprinkle_area": 6,
        "apply_non_overlapping_constraints": True,
    }
    expected = post_process_masks([masks], [(50, 70)], **asked)[0]
    got = post_process_masks([masks.cuda()], [(50, 70)], **asked)[0]
    assert got.is_cuda
    assert (got.cpu() != expected).float().mean() < 1e-3


MISUSES: dict[str, tuple[Any, Any]] = {
    "too few masks": ([np.zeros((1, 1, 4, 4), np.float32)], [(8, 8), (8, 8)]),
    "lists of numbers": ([[[[[1.0]]]]], [(8, 8)]),
    "not in a list": (torch.zeros(1, 1, 4, 4), [(8, 8)]),
    "three dimensions": ([torch.zeros(1, 4, 4)], [(8, 8)]),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises_what_theirs_raises(theirs: Any, misuse: str) -> None:
    masks, sizes = MISUSES[misuse]
    with pytest.raises(Exception) as expected:  # noqa: PT011, whatever it is
        theirs.post_process_masks(list(masks) if isinstance(masks, list) else masks, sizes)
    with pytest.raises(expected.type) as got:
        Sam3TrackerVideoProcessor().post_process_masks(masks, sizes)
    assert isinstance(got.value, KeepsightError)


def test_masks_without_a_size_are_not_dropped_in_silence() -> None:
    with pytest.raises(UsageError, match="as many"):
        post_process_masks([torch.zeros(1, 1, 4, 4)] * 2, [(8, 8)])
