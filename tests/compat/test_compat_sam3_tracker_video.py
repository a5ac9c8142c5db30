"""The drop-in against transformers' own classes: one program, run with both, on the same random weights.

Every tensor that is returned is compared, SAM 2's and SAM 3's classes alike.
"""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from keepsight.compat import sam2_video, sam3_tracker_video
from keepsight.compat.sam3_tracker_video.model import Sam3TrackerVideoModel, one_device
from keepsight.errors import KeepsightError
from keepsight.nn.hiera import HieraConfig
from keepsight.video import open_source
from tests.oracle import IMAGE_SIZE, MASK, SAM3_SIZE, moving_texture, sam3_model, transformers_model

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")
pytestmark = pytest.mark.filterwarnings("ignore:.*:FutureWarning", "ignore:.*:DeprecationWarning")

FRAMES = 18  # transformers normalises pointer times by the length of clips shorter than 16
ENCODER = HieraConfig(width=16, heads=1, stages=(1, 1, 2, 1), global_blocks=(3,), background=(4, 4))
BEDROOM = Path(__file__).parents[3] / "shared/data/videos/bedroom.mp4"


def two(*ids: int) -> dict[str, Any]:
    """Inputs of two objects; made anew each time, since transformers empties the list of ids."""
    return {
        "obj_ids": list(ids),
        "input_points": [[[[40, 45]], [[80, 20]]]],
        "input_labels": [[[1], [1]]],
    }


class Door(NamedTuple):
    """One of the two libraries."""

    model: Any
    processor: Any

    def open(self, frames: Any) -> Any:
        return self.processor.init_video_session(video=frames, inference_device="cpu", dtype=torch.float32)

    def say(self, session: Any, frame: int, **inputs: Any) -> None:
        self.processor.add_inputs_to_inference_session(inference_session=session, frame_idx=frame, **inputs)


class Doors(NamedTuple):
    """Both, with the same weights."""

    theirs: Door
    ours: Door


Program = Callable[[Door, list[npt.NDArray[np.uint8]]], Iterator[Any]]


def opened(family: str, folder: Path) -> Doors:
    torch.set_num_threads(1)
    size = SAM3_SIZE if family == "Sam3Tracker" else IMAGE_SIZE
    model = sam3_model(folder) if family == "Sam3Tracker" else transformers_model(folder, ENCODER)
    module: Any = sam3_tracker_video if family == "Sam3Tracker" else sam2_video
    square = {"height": size, "width": size}
    centre = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3} if family == "Sam3Tracker" else {}
    theirs = getattr(transformers, f"{family}VideoProcessor")(
        image_processor=transformers.Sam2ImageProcessor(size=square, **centre),
        video_processor=transformers.Sam2VideoVideoProcessor(size=square, **centre),
    )
    theirs.save_pretrained(folder)
    return Doors(
        Door(model, theirs),
        Door(
            getattr(module, f"{family}VideoModel").from_pretrained(folder, dtype=torch.float32),
            getattr(module, f"{family}VideoProcessor").from_pretrained(folder),
        ),
    )


@pytest.fixture(scope="module", params=["Sam2", "Sam3Tracker"])
def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Doors:
    return opened(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def frames() -> list[npt.NDArray[np.uint8]]:
    return moving_texture(FRAMES)


def run_both(doors: Doors, frames: list[npt.NDArray[np.uint8]], program: Program, tolerance: float) -> int:
    """Runs a program with both and compares every output; returns how many objects were present."""
    present = 0
    expected = list(program(doors.theirs, frames))
    found = list(program(doors.ours, frames))
    assert len(found) == len(expected) > 0
    for step, (mine, wanted) in enumerate(zip(found, expected, strict=True)):
        assert mine.frame_idx == wanted.frame_idx
        assert list(mine.object_ids) == list(wanted.object_ids)
        for name in ("pred_masks", "object_score_logits"):
            a, b = getattr(mine, name), getattr(wanted, name)
            assert a.shape == b.shape, name
            assert a.dtype == b.dtype
            message = f"step {step}, frame {mine.frame_idx}, {name}"
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=tolerance, rtol=tolerance, err_msg=message)
        present += int((wanted.object_score_logits > 0).sum())
    assert present  # else there was nothing to compare
    return present


def one_click_refined(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """One object by a click, refined by a negative one, tracked, tracked again from the middle."""
    session = door.open(frames)
    door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    yield door.model(inference_session=session, frame_idx=0)
    door.say(session, 0, obj_ids=1, input_points=[[[[80, 20]]]], input_labels=[[[0]]], clear_old_inputs=False)
    yield door.model(inference_session=session, frame_idx=0)
    yield from door.model.propagate_in_video_iterator(session)
    yield from door.model.propagate_in_video_iterator(session, start_frame_idx=5, max_frame_num_to_track=3)


def two_batched(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """Two objects in one call; the first frame is run twice."""
    session = door.open(frames)
    door.say(session, 0, **two(1, 2))
    yield door.model(inference_session=session, frame_idx=0)
    yield door.model(inference_session=session, frame_idx=0)
    yield from door.model.propagate_in_video_iterator(session, start_frame_idx=0)


def box_then_points(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """A box, then a box with a point; without running the model on the frame first."""
    session = door.open(frames)
    door.say(session, 2, obj_ids=[7], input_boxes=[[[20, 20, 70, 80]]])
    yield from door.model.propagate_in_video_iterator(session, start_frame_idx=2, max_frame_num_to_track=2)
    door.say(
        session,
        2,
        obj_ids=[7],
        input_boxes=[[[20, 20, 70, 80]]],
        input_points=[[[[60, 50]]]],
        input_labels=[[[0]]],
    )
    yield door.model(inference_session=session, frame_idx=2)
    yield from door.model.propagate_in_video_iterator(session, start_frame_idx=2)


def backward(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """Objects prompted at the end, tracked to the beginning, with ids that are no row numbers."""
    session = door.open(frames)
    door.say(session, FRAMES - 1, **two(30, 4))
    yield door.model(inference_session=session, frame_idx=FRAMES - 1)
    yield from door.model.propagate_in_video_iterator(session, reverse=True)


def streamed(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """Frame by frame, prompted at the first; then one more object on a later frame."""
    session = door.processor.init_video_session(inference_device="cpu", dtype=torch.float32)
    for index, frame in enumerate(frames):
        inputs = door.processor(images=frame, return_tensors="pt")
        if index == 0:
            door.say(session, 0, **two(1, 2), original_size=inputs.original_sizes[0])
        yield door.model(inference_session=session, frame=inputs.pixel_values[0])


def reset_and_reused(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """Forgets everything and starts anew, with both kinds of reset."""
    session = door.open(frames)
    door.say(session, 0, **two(1, 2))
    door.model(inference_session=session, frame_idx=0)
    session.reset_tracking_data()
    assert session.obj_ids == []
    door.say(session, 3, obj_ids=9, input_points=[[[[80, 20]]]], input_labels=[[[1]]])
    yield door.model(inference_session=session, frame_idx=3)
    yield from door.model.propagate_in_video_iterator(session, max_frame_num_to_track=4)
    session.reset_inference_session()
    assert session.get_obj_num() == 0
    door.say(session, 0, **two(1, 2))
    yield door.model(inference_session=session, frame_idx=0)
    yield from door.model.propagate_in_video_iterator(session, max_frame_num_to_track=2)


PROGRAMS = (one_click_refined, two_batched, box_then_points, backward, streamed, reset_and_reused)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_same_program_gives_the_same(
    doors: Doors, frames: list[npt.NDArray[np.uint8]], program: Program
) -> None:
    run_both(doors, frames, program, 2e-4)


def test_a_real_clip_gives_the_same_masks(doors: Doors) -> None:
    if not BEDROOM.exists():
        pytest.skip(f"{BEDROOM} is not there")
    with open_source(str(BEDROOM)) as source:
        clip = [frame.image for frame in source.frames(0, 24)]
    height, width = clip[0].shape[:2]
    masks = []
    for door in doors:
        session = door.open(clip)
        door.say(session, 0, obj_ids=1, input_points=[[[[210, 350], [250, 220]]]], input_labels=[[[1, 1]]])
        door.model(inference_session=session, frame_idx=0)
        assert (session.video_height, session.video_width) == (height, width)
        masks.append(
            [
                door.processor.post_process_masks([out.pred_masks], [[height, width]], binarize=True)[0]
                for out in door.model.propagate_in_video_iterator(session)
            ]
        )
    theirs, ours = (torch.stack(each) for each in masks)
    assert theirs.shape == ours.shape == (24, 1, 1, height, width)
    assert (theirs & ours).sum() / (theirs | ours).sum() >= 0.999
    assert theirs.any()


def test_a_video_file_is_read_like_its_frames(doors: Doors) -> None:
    if not BEDROOM.exists():
        pytest.skip(f"{BEDROOM} is not there")
    with open_source(str(BEDROOM)) as source:
        clip, count = [frame.image for frame in source.frames(0, 2)], source.count()
    by_path, by_frames = doors.ours.open(str(BEDROOM)), doors.ours.open(clip)
    assert (by_path.num_frames, by_frames.num_frames) == (count, 2)
    for index in range(2):
        assert torch.equal(by_path.get_frame(index), by_frames.get_frame(index))


def refined_later(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """A click, a pass, a correction on frame 9, and a pass from there."""
    session = door.open(frames)
    door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    door.model(inference_session=session, frame_idx=0)
    yield from door.model.propagate_in_video_iterator(session)
    door.say(session, 9, obj_ids=1, input_points=[[[[90, 70], [20, 20]]]], input_labels=[[[1, 0]]])
    yield door.model(inference_session=session, frame_idx=9)


def test_a_correction_is_answered_the_same_and_holds(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    run_both(doors, frames, refined_later, 2e-4)
    door = doors.ours
    session = door.open(frames)
    door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    door.model(inference_session=session, frame_idx=0)
    before = [out.pred_masks for out in door.model.propagate_in_video_iterator(session)]
    door.say(session, 9, obj_ids=1, input_points=[[[[90, 70], [20, 20]]]], input_labels=[[[1, 0]]])
    corrected = door.model(inference_session=session, frame_idx=9).pred_masks
    after = {out.frame_idx: out.pred_masks for out in door.model.propagate_in_video_iterator(session)}
    assert torch.equal(after[9], corrected)  # transformers tracks over it
    assert not torch.equal(after[9], before[9])
    assert not torch.equal(after[10], before[10])


def given_mask(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
    """One object by a mask of the video's size."""
    session = door.open(frames)
    door.say(session, 0, obj_ids=[1], input_masks=MASK)
    yield door.model(inference_session=session, frame_idx=0)
    yield from door.model.propagate_in_video_iterator(session)


def test_a_given_mask_is_the_answer(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    # Its pointer is Meta's, not transformers', so what is tracked from it differs; see the page.
    theirs, ours = (next(given_mask(door, frames)) for door in doors)
    np.testing.assert_allclose(ours.pred_masks.numpy(), theirs.pred_masks.numpy(), atol=1e-5)
    assert torch.equal(ours.object_score_logits, theirs.object_score_logits)
    tracked = list(given_mask(doors.ours, frames))
    assert len(tracked) == FRAMES + 1


def test_an_object_is_answered_as_if_it_were_alone(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    """Lists of unequal length: transformers pads with points that change the answer, we do not."""
    points, labels = [[40, 45]], [1]
    alone = {"obj_ids": [1], "input_points": [[points]], "input_labels": [[labels]]}
    ragged = {
        "obj_ids": [1, 2],
        "input_points": [[points, [[80, 20], [90, 30], [20, 60]]]],
        "input_labels": [[labels, [1, 1, 0]]],
    }
    outputs = []
    for door, inputs in ((doors.theirs, alone), (doors.ours, ragged)):
        session = door.open(frames)
        door.say(session, 0, **inputs)
        outputs.append(door.model(inference_session=session, frame_idx=0))
    np.testing.assert_allclose(outputs[1].pred_masks[:1], outputs[0].pred_masks, atol=2e-4, rtol=2e-4)


def test_inputs_of_several_calls_are_all_answered(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    """transformers forgets the first object's inputs at the second call."""
    door = doors.ours
    apart, together = door.open(frames), door.open(frames)
    door.say(together, 0, **two(5, 6))
    door.say(apart, 0, obj_ids=5, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    door.say(apart, 0, obj_ids=6, input_points=[[[[80, 20]]]], input_labels=[[[1]]])
    a, b = (door.model(inference_session=each, frame_idx=0) for each in (apart, together))
    assert torch.equal(a.pred_masks, b.pred_masks)
    assert apart.obj_with_new_inputs == []


def test_objects_joining_on_later_frames_are_tracked_with_the_rest(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    def program(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
        session = door.open(frames)
        door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
        door.model(inference_session=session, frame_idx=0)
        yield from door.model.propagate_in_video_iterator(session, max_frame_num_to_track=8)
        door.say(session, 6, obj_ids=2, input_points=[[[[80, 20]]]], input_labels=[[[1]]])
        yield door.model(inference_session=session, frame_idx=6)
        yield from door.model.propagate_in_video_iterator(session, start_frame_idx=6)

    run_both(doors, frames, program, 2e-4)


def test_a_stream_keeps_one_frame_and_takes_corrections_on_it(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    door = doors.ours
    session = door.processor.init_video_session()
    held = []
    for index, frame in enumerate(frames):
        inputs = door.processor(images=frame, return_tensors="pt")
        if index == 0:
            door.say(session, 0, **two(1, 2), original_size=inputs.original_sizes[0])
        pixels = inputs.pixel_values[0]
        held.append(weakref.ref(pixels))
        out = door.model(inference_session=session, frame=pixels)
        assert out.frame_idx == index
    del pixels, inputs
    assert sum(ref() is not None for ref in held) <= 2
    assert (session.num_frames, session.processed_frames) == (FRAMES, None)
    door.say(session, FRAMES - 1, obj_ids=1, input_points=[[[[20, 20]]]], input_labels=[[[0]]])
    corrected = door.model(inference_session=session, frame_idx=FRAMES - 1)
    assert not torch.equal(corrected.pred_masks[0], out.pred_masks[0])
    assert torch.equal(corrected.pred_masks[1], out.pred_masks[1])
    with pytest.raises(KeyError, match=r"latest streamed frame, number 17, but got 3.*init_video_session"):
        door.model(inference_session=session, frame_idx=3)
    with pytest.raises(ValueError, match="streamed and are not kept"):
        next(door.model.propagate_in_video_iterator(session))


def test_a_stream_may_leave_frames_out_and_frames_may_be_handed_in_to_be_kept(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    def skipping(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
        session = door.processor.init_video_session()
        for index in (0, 1, 4, 5, 9):
            inputs = door.processor(images=frames[index], return_tensors="pt")
            if index == 0:
                door.say(session, 0, **two(1, 2), original_size=inputs.original_sizes[0])
            yield door.model(inference_session=session, frame=inputs.pixel_values[0], frame_idx=index)

    def handed_in(door: Door, frames: list[npt.NDArray[np.uint8]]) -> Iterator[Any]:
        session = door.processor.init_video_session()
        for frame in frames:
            session.add_new_frame(door.processor(images=frame, return_tensors="pt").pixel_values)
        door.say(session, 0, **two(1, 2), original_size=frames[0].shape[:2])
        yield door.model(inference_session=session, frame_idx=0)
        yield from door.model.propagate_in_video_iterator(session)

    run_both(doors, frames, skipping, 2e-4)
    run_both(doors, frames, handed_in, 2e-4)


def test_the_session_answers_as_theirs_does(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    seen = []
    for door in doors:
        session = door.open(frames)
        assert session.get_obj_num() == 0
        assert (session.obj_id_to_idx(8), session.obj_id_to_idx("dog"), session.obj_id_to_idx(8)) == (0, 1, 0)
        assert (session.obj_idx_to_id(1), session.obj_ids, session.num_frames) == ("dog", [8, "dog"], FRAMES)
        points = {"point_coords": torch.zeros(1, 1, 1, 2), "point_labels": torch.ones(1, 1, 1)}
        session.add_point_inputs(0, 4, points)
        session.add_mask_inputs(1, 4, torch.ones(1, 1, 4, 4))
        assert list(session.point_inputs_per_obj[0]) == list(session.mask_inputs_per_obj[1]) == [4]
        session.remove_point_inputs(0, 4)
        session.remove_mask_inputs(1, 4)
        session.remove_mask_inputs(1, 4)
        assert session.point_inputs_per_obj[0] == session.mask_inputs_per_obj[1] == {}
        assert session.get_output(0, 4, "pred_masks") is None
        with pytest.raises(KeyError):
            session.obj_idx_to_id(2)
        with pytest.raises(KeyError):
            session.get_frame(FRAMES)
        session.reset_tracking_data()
        assert (session.obj_ids, session.get_obj_num(), session.num_frames) == ([], 0, FRAMES)
        door.say(session, 0, **two(1, 2))
        out = door.model(inference_session=session, frame_idx=0)
        kept = session.get_output(1, 0, "pred_masks")
        assert torch.equal(kept[0], out.pred_masks[1])
        assert session.get_output(1, 0, "pred_masks", is_conditioning_frame=False) is None
        assert session.add_new_frame(session.get_frame(3)) == FRAMES
        assert torch.equal(session.get_frame(FRAMES), session.get_frame(3))
        assert out.keys() is not None
        assert torch.equal(out["pred_masks"], out.to_tuple()[1])
        seen.append(session.get_frame(3))
    assert torch.allclose(seen[0], seen[1], atol=1e-6)


def test_misuse_raises_what_transformers_raises(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    point: dict[str, Any] = {"input_points": [[[[40, 45]]]], "input_labels": [[[1]]]}

    def without_objects(door: Door) -> None:
        door.model(inference_session=door.open(None), frame=torch.zeros(3, 8, 8))

    def without_start(door: Door) -> None:
        next(iter(door.model.propagate_in_video_iterator(door.open(frames))))

    def no_such_frame(door: Door) -> None:
        session = door.open(frames)
        door.say(session, FRAMES, obj_ids=1, **point)
        door.model(inference_session=session, frame_idx=FRAMES)

    def both_kinds(door: Door) -> None:
        session = door.open(frames)
        door.say(session, 0, obj_ids=1, **point)
        session.add_mask_inputs(0, 0, torch.ones(1, 1, 8, 8))
        door.model(inference_session=session, frame_idx=0)

    cases: list[tuple[Callable[[Door], None], type[Exception]]] = [
        (without_objects, ValueError),
        (without_start, ValueError),
        (no_such_frame, KeyError),
        (both_kinds, ValueError),
    ]
    for misuse, kind in cases:
        with pytest.raises(kind):
            misuse(doors.theirs)
        with pytest.raises(kind) as caught:
            misuse(doors.ours)
        assert isinstance(caught.value, KeepsightError), misuse.__name__
        assert "but" in str(caught.value), misuse.__name__


def test_an_object_is_not_looked_for_before_its_inputs_were_answered(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    """transformers answers an empty prompt instead."""
    session = doors.ours.open(frames)
    doors.ours.say(session, 3, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    with pytest.raises(ValueError, match="object 1 was not"):
        doors.ours.model(inference_session=session, frame_idx=0)


def test_a_mask_taken_back_leaves_later_points_to_be_answered(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    outputs = []
    for door in doors:
        session = door.open(frames)
        place = session.obj_id_to_idx(1)
        session.add_mask_inputs(place, 0, torch.ones(1, 1, 8, 8))
        points = {
            "point_coords": torch.full((1, 1, 1, 2), 40.0),
            "point_labels": torch.ones(1, 1, 1, dtype=torch.int32),
        }
        session.add_point_inputs(place, 0, points)
        session.remove_mask_inputs(place, 0)
        session.obj_with_new_inputs.append(1)
        outputs.append(door.model(inference_session=session, frame_idx=0))
        assert session.obj_with_new_inputs == []
    theirs, ours = (out.pred_masks.numpy() for out in outputs)
    np.testing.assert_allclose(ours, theirs, atol=2e-4, rtol=2e-4)


def test_a_refused_prompt_leaves_everything_as_it_was(
    doors: Doors, frames: list[npt.NDArray[np.uint8]]
) -> None:
    door = doors.ours
    session = door.open(frames)
    door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    first = door.model(inference_session=session, frame_idx=0)
    door.say(session, 0, obj_ids=1, input_points=[[[[4000, 45]]]], input_labels=[[[1]]])
    with pytest.raises(ValueError, match="inside the frame"):
        door.model(inference_session=session, frame_idx=0)
    assert torch.equal(session.get_output(0, 0, "pred_masks"), first.pred_masks)
    door.say(session, 0, obj_ids=1, input_points=[[[[40, 45]]]], input_labels=[[[1]]])
    assert torch.equal(door.model(inference_session=session, frame_idx=0).pred_masks, first.pred_masks)


def test_pixel_values_of_another_checkpoint_are_refused(doors: Doors) -> None:
    session = doors.ours.open(None)
    doors.ours.say(session, 0, **two(1, 2), original_size=(90, 120))
    with pytest.raises(ValueError, match=r"Expected pixel values of .* but got 64 x 64. Use the processor"):
        doors.ours.model(inference_session=session, frame=torch.zeros(3, 64, 64))


def test_what_there_is_not_says_so(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    session = doors.ours.open(frames)
    with pytest.raises(AttributeError, match="memory is held by"):
        _ = session.output_dict_per_obj
    with pytest.raises(AttributeError, match="nonsense"):
        _ = session.nonsense
    assert not hasattr(session, "cache")


def test_the_embedded_model_and_other_policies_work_through_the_door() -> None:
    model = sam2_video.Sam2VideoModel.from_pretrained("pocket", dtype=torch.float32, policy="samurai")
    processor = sam2_video.Sam2VideoProcessor.from_pretrained("pocket")
    assert model.image_size == processor.target_size == model.config.image_size
    door = Door(model, processor)
    clip = moving_texture(4)
    session = door.open(clip)
    door.say(session, 0, obj_ids=1, input_boxes=[[[12, 27, 48, 63]]])
    door.model(inference_session=session, frame_idx=0)
    found = [
        processor.post_process_masks([out.pred_masks], [[90, 120]])[0][0, 0]
        for out in model.propagate_in_video_iterator(session, show_progress_bar=True)
    ]
    assert len(found) == 4
    y, x = np.mgrid[:90, :120]
    disc = torch.from_numpy((x - 36) ** 2 + (y - 45) ** 2 < 18**2)
    assert (found[3] & disc).sum() / (found[3] | disc).sum() > 0.7


def test_one_device_is_named_in_any_of_their_ways() -> None:
    named = [one_device(value) for value in (None, "cpu", {"": "cpu"}, 1, {"": 0})]
    assert named == ["cpu", "cpu", "cpu", "cuda:1", "cuda:0"]
    with pytest.raises(ValueError, match="Expected device_map to name one device"):
        one_device({"vision_encoder": 0, "mask_decoder": 1})
    with pytest.raises(ValueError, match="revision"):
        sam2_video.Sam2VideoModel.from_pretrained("facebook/sam2.1-hiera-tiny", revision="a1b2c3")


def test_the_weights_move_as_a_module_s_do(doors: Doors, frames: list[npt.NDArray[np.uint8]]) -> None:
    model = type(doors.ours.model)(doors.ours.model.config)
    assert isinstance(model, Sam3TrackerVideoModel)
    assert model.to("cpu", dtype=torch.bfloat16).dtype == torch.bfloat16
    assert model.device == torch.device("cpu")
    assert not any(p.requires_grad for p in model.parameters())
    door = Door(model, doors.ours.processor)
    session = door.open(frames)
    door.say(session, 0, **two(1, 2))
    assert torch.isfinite(model(inference_session=session, frame_idx=0).pred_masks).all()
