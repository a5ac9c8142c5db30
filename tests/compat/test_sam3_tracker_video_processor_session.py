"""Prompts on their way into a session: the same calls to transformers' processor and to ours."""

from typing import Any

import numpy as np
import pytest
import torch

from keepsight.compat.sam3_tracker_video.processor import Sam2VideoProcessor, Sam3TrackerVideoProcessor
from keepsight.compat.sam3_tracker_video.session import Sam3TrackerVideoInferenceSession
from keepsight.errors import KeepsightError, PromptError

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

SIDE, HEIGHT, WIDTH = 56, 90, 160
CLICKS: dict[str, Any] = {"input_points": [[[[20, 30]], [[40, 15]]]], "input_labels": [[[1], [0]]]}
BOXES = {"input_boxes": [[[1, 2, 30, 40], [50, 60, 70, 80]]]}
MASKS = np.random.default_rng(0).random((2, HEIGHT, WIDTH)) > 0.7

Call = dict[str, Any]


def their_session(height: int | None = HEIGHT, width: int | None = WIDTH) -> Any:
    module = transformers.models.sam3_tracker_video.modeling_sam3_tracker_video
    return module.Sam3TrackerVideoInferenceSession(
        video_height=height, video_width=width, dtype=torch.float32
    )


def our_session(height: int | None = HEIGHT, width: int | None = WIDTH) -> Any:
    return Sam3TrackerVideoInferenceSession(video_height=height, video_width=width, dtype=torch.float32)


@pytest.fixture(scope="module")
def theirs() -> Any:
    images = transformers.Sam3ImageProcessor(size=SIDE)
    return transformers.Sam3TrackerVideoProcessor(images, transformers.Sam2VideoVideoProcessor(size=SIDE))


@pytest.fixture(scope="module")
def ours() -> Sam3TrackerVideoProcessor:
    return Sam3TrackerVideoProcessor({"size": SIDE})


def state_of(session: Any) -> dict[str, Any]:
    """All that a processor changes in a session, as plain values."""
    points = {
        (number, frame, name): value.tolist()
        for number, frames in session.point_inputs_per_obj.items()
        for frame, inputs in frames.items()
        for name, value in inputs.items()
    }
    masks = {
        (number, frame): (tuple(mask.shape), mask.dtype, mask.tolist())
        for number, frames in session.mask_inputs_per_obj.items()
        for frame, mask in frames.items()
    }
    return {
        "ids": list(session.obj_ids),
        "points": points,
        "masks": masks,
        "size": (session.video_height, session.video_width),
        "new": list(session.obj_with_new_inputs),
    }


def assert_same(expected: dict[str, Any], got: dict[str, Any]) -> None:
    expected_points, got_points = expected.pop("points"), got.pop("points")
    assert got == expected
    assert got_points.keys() == expected_points.keys()
    for key, value in expected_points.items():
        np.testing.assert_allclose(got_points[key], value, atol=1e-5, rtol=1e-6)


PROGRAMS: dict[str, list[Call]] = {
    "a click": [{"frame_idx": 0, "obj_ids": 1, "input_points": [[[[20, 30]]]], "input_labels": [[[1]]]}],
    "two objects": [{"frame_idx": 3, "obj_ids": [7, 2], **CLICKS}],
    "equally many clicks": [
        {
            "frame_idx": 0,
            "obj_ids": [1, 2],
            "input_points": [[[[20, 30], [5, 6]], [[40, 15], [7.5, 8]]]],
            "input_labels": [[[1, 0], [1, 1]]],
        }
    ],
    "boxes": [{"frame_idx": 0, "obj_ids": [1, 2], **BOXES}],
    "boxes and points": [{"frame_idx": 0, "obj_ids": [1, 2], **BOXES, **CLICKS}],
    "arrays": [
        {
            "frame_idx": 0,
            "obj_ids": [1],
            "input_points": np.array([[[[20.0, 30], [1, 2]]]]),
            "input_labels": torch.tensor([[[1, 0]]]),
        }
    ],
    "a further click": [
        {"frame_idx": 0, "obj_ids": [1, 2], **CLICKS},
        {"frame_idx": 0, "obj_ids": [1, 2], **CLICKS, "clear_old_inputs": False},
        {"frame_idx": 1, "obj_ids": [1, 2], **CLICKS, "clear_old_inputs": False},
    ],
    "other clicks": [
        {"frame_idx": 0, "obj_ids": [1, 2], **BOXES},
        {"frame_idx": 0, "obj_ids": [1, 2], **CLICKS},
    ],
    "masks": [{"frame_idx": 0, "obj_ids": [1, 2], "input_masks": list(MASKS)}],
    "a mask of few dimensions": [{"frame_idx": 0, "obj_ids": 1, "input_masks": MASKS[0]}],
    "a mask of many dimensions": [{"frame_idx": 0, "obj_ids": 1, "input_masks": MASKS[None, :1]}],
    "a mask of floats": [
        {"frame_idx": 0, "obj_ids": [1], "input_masks": [torch.from_numpy(MASKS[0]).float() * 0.8]}
    ],
    "a mask of numbers": [{"frame_idx": 0, "obj_ids": [1], "input_masks": MASKS[0].astype(np.uint8) * 255}],
    "a mask of the input's size": [{"frame_idx": 0, "obj_ids": 1, "input_masks": MASKS[0, :SIDE, :SIDE]}],
    "a mask in place of clicks": [
        {"frame_idx": 0, "obj_ids": [1, 2], **CLICKS},
        {"frame_idx": 0, "obj_ids": [1, 2], "input_masks": list(MASKS)},
    ],
    "clicks in place of a mask": [
        {"frame_idx": 0, "obj_ids": [1, 2], "input_masks": list(MASKS)},
        {"frame_idx": 0, "obj_ids": [1, 2], **CLICKS},
    ],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_sessions_get_the_same_inputs(theirs: Any, ours: Any, program: str) -> None:
    expected, plain, got = their_session(), their_session(), our_session()
    for call in PROGRAMS[program]:
        theirs.add_inputs_to_inference_session(expected, **call)
        assert ours.add_inputs_to_inference_session(plain, **call) is plain
        assert ours.add_inputs_to_inference_session(got, **call) is got
    assert_same(state_of(expected), state_of(plain))
    assert_same(state_of(expected), state_of(got))


def test_words_are_object_ids(ours: Any) -> None:
    session = our_session()
    ours.add_inputs_to_inference_session(session, 0, "dog", **only(0))
    ours.add_inputs_to_inference_session(session, 0, ["cat", "dog"], **CLICKS)
    ours.add_inputs_to_inference_session(session, 0, np.array([4]), **only(1))
    assert session.obj_ids == ["dog", "cat", 4]


def only(row: int) -> Call:
    return {name: [[value[0][row]]] for name, value in CLICKS.items()}


def test_the_size_of_a_stream(theirs: Any, ours: Any) -> None:
    for size in ((HEIGHT, WIDTH), [HEIGHT, WIDTH], torch.tensor([HEIGHT, WIDTH])):
        expected, got = their_session(None, None), our_session(None, None)
        theirs.add_inputs_to_inference_session(expected, 0, [1, 2], **CLICKS, original_size=size)
        ours.add_inputs_to_inference_session(got, 0, [1, 2], **CLICKS, original_size=size)
        assert_same(state_of(expected), state_of(got))
        # Only needed once.
        ours.add_inputs_to_inference_session(got, 1, [1, 2], **CLICKS)
    masked = our_session(None, None)
    ours.add_inputs_to_inference_session(masked, 0, 1, input_masks=MASKS[0], original_size=(HEIGHT, WIDTH))
    assert (masked.video_height, masked.video_width) == (HEIGHT, WIDTH)


def test_the_parts_can_be_called_themselves(ours: Any) -> None:
    whole, parts = our_session(), our_session()
    ours.add_inputs_to_inference_session(whole, 0, [1, 2], **CLICKS)
    ours.add_inputs_to_inference_session(whole, 1, [1, 2], input_masks=list(MASKS))
    ours.process_new_points_or_boxes_for_video_frame(parts, 0, [1, 2], **CLICKS)
    ours.process_new_mask_for_video_frame(parts, 1, [1, 2], list(MASKS))
    assert state_of(whole) == state_of(parts)


def test_shorter_lists_get_no_padding(ours: Any) -> None:
    # The original hands on points at -10 with label -10, which the network sees as tokens of zeros.
    together, alone = our_session(), our_session()
    points: dict[str, Any] = {
        "input_points": [[[[20, 30]], [[40, 15], [1, 2], [3, 4]], [[50, 60], [-10, -10], [0, 0]]]],
        "input_labels": [[[1], [0, 1, 1], [1, -10, -1]]],
    }
    ours.add_inputs_to_inference_session(together, 0, [1, 2, 3], **points)
    for row, count in enumerate((1, 3, 1)):
        given = {name: [[value[0][row][:count]]] for name, value in points.items()}
        ours.add_inputs_to_inference_session(alone, 0, row + 1, **given)
    assert state_of(together) == state_of(alone)


def test_an_object_without_points_of_its_own_may_have_a_box(ours: Any) -> None:
    session = our_session()
    ours.add_inputs_to_inference_session(
        session, 0, [1, 2], **BOXES, input_points=[[[[20, 30]], []]], input_labels=[[[1], []]]
    )
    assert session.point_inputs_per_obj[0][0]["point_labels"].tolist() == [[[2, 3, 1]]]
    assert session.point_inputs_per_obj[1][0]["point_labels"].tolist() == [[[2, 3]]]


def test_objects_with_new_inputs_add_up(ours: Any) -> None:
    # The original forgets the objects of earlier calls.
    session = our_session()
    ours.add_inputs_to_inference_session(session, 0, 1, **only(0))
    ours.add_inputs_to_inference_session(session, 0, [2, 1], **CLICKS)
    ours.add_inputs_to_inference_session(session, 0, 3, input_masks=MASKS[0])
    assert session.obj_with_new_inputs == [1, 2, 3]


MISUSES: dict[str, Call] = {
    "points without labels": {"obj_ids": 5, "input_points": [[[[20, 30]]]]},
    "labels without points": {"obj_ids": 5, "input_labels": [[[1]]]},
    "nothing": {"obj_ids": 5},
    "a mask and points": {"obj_ids": [5, 6], "input_masks": list(MASKS), **CLICKS},
    "a mask and a box": {"obj_ids": [5, 6], "input_masks": list(MASKS), **BOXES},
    "more ids than points": {"obj_ids": [5, 6, 7], **CLICKS},
    "fewer ids than points": {"obj_ids": [5], **CLICKS},
    "more ids than boxes": {"obj_ids": [5, 6, 7], **BOXES},
    "more ids than masks": {"obj_ids": [5, 6, 7], "input_masks": list(MASKS)},
    "a box for old points": {"obj_ids": [5, 6], **BOXES, "clear_old_inputs": False},
    "points too shallow": {"obj_ids": 5, "input_points": [[[20, 30]]], "input_labels": [[[1]]]},
    "points in words": {"obj_ids": 5, "input_points": [[[["a", 1]]]], "input_labels": [[[1]]]},
    "a mask of five dimensions": {"obj_ids": 5, "input_masks": MASKS[None, None, :1]},
    "a mask of one dimension": {"obj_ids": 5, "input_masks": MASKS[0, 0]},
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises_what_theirs_raises_and_changes_nothing(theirs: Any, ours: Any, misuse: str) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011, whatever it is
        theirs.add_inputs_to_inference_session(their_session(), 0, **MISUSES[misuse])
    assert_refused(ours, MISUSES[misuse], expected.type)


def test_a_stream_needs_its_size_first(theirs: Any, ours: Any) -> None:
    with pytest.raises(ValueError, match="original_size must be provided"):
        theirs.add_inputs_to_inference_session(their_session(None, None), 0, [1, 2], **CLICKS)
    session = our_session(None, None)
    with pytest.raises(PromptError, match="original_size must be provided"):
        ours.add_inputs_to_inference_session(session, 0, [1, 2], **CLICKS)
    assert session.obj_ids == []


@pytest.mark.parametrize(
    "call",
    [
        {"obj_ids": [5, 6], "input_points": [[[[20, 30]], []]], "input_labels": [[[1], []]]},
        {
            "obj_ids": [5, 6],
            "input_points": [[[[20, 30]], []]],
            "input_labels": [[[1], []]],
            "clear_old_inputs": False,
        },
        {"obj_ids": 5, "input_points": [[[[20, 30]]]], "input_labels": [[[7]]]},
        {"obj_ids": 5, "input_points": [[[[20, 30]]]], "input_labels": [[[-10]]]},
        {"obj_ids": 5, "input_points": [[[[20, 30]]]] * 2, "input_labels": [[[1]]] * 2},
        {"obj_ids": 5, "input_boxes": [[[30, 2, 1, 40]]]},
        {"obj_ids": [5, 6], "input_masks": [MASKS[0], MASKS]},
        {"obj_ids": [5, 6], **CLICKS, "original_size": (HEIGHT,)},
        {"obj_ids": 5, "input_masks": MASKS[0], "original_size": (HEIGHT, WIDTH, 3)},
    ],
)
def test_what_theirs_lets_pass_in_silence_is_refused(ours: Any, call: Call) -> None:
    assert_refused(ours, call, PromptError)


def assert_refused(ours: Any, call: Call, kind: type[Exception]) -> None:
    session = our_session()
    ours.add_inputs_to_inference_session(session, 0, [1, 2], **CLICKS)
    before = state_of(session)
    with pytest.raises(kind) as got:
        ours.add_inputs_to_inference_session(session, 0, **call)
    assert isinstance(got.value, KeepsightError)
    assert state_of(session) == before


@pytest.mark.parametrize("kind", [Sam2VideoProcessor, Sam3TrackerVideoProcessor])
def test_masks_have_the_target_size_of_the_family(kind: Any) -> None:
    session, processor = our_session(), kind()
    processor.add_inputs_to_inference_session(session, 0, 1, input_masks=MASKS[0])
    mask = session.mask_inputs_per_obj[0][0]
    assert mask.shape == (1, 1, processor.target_size, processor.target_size)
    assert mask.unique().tolist() == [0, 1]
