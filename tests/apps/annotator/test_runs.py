"""Runs: what they write, what they leave alone, how they end."""

from pathlib import Path
from typing import Any

import pytest

from keepsight.apps.annotator.errors import BusyError, ModelNotReadyError, NoSuchError
from keepsight.apps.annotator.project import KINDS, Run, Shape
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import SourceError, UsageError
from keepsight.shapes import cvat_rle, figure_to_mask
from tests.apps.annotator.rooms import (
    FRAMES,
    SIZE,
    Stepping,
    clicked,
    contents,
    finished,
    opened_studio,
    spec_of,
    square,
    track,
    wait_for,
    write_clip,
)
from tests.toy import ToyNetwork, centre

SQUARE = (10.0, 4.0, 22.0, 4.0, 22.0, 16.0, 10.0, 16.0)


def frames_of(studio: Studio, number: int, source: str = "auto") -> list[int]:
    return [s.frame for s in studio.project.shapes(number=number) if s.source == source and not s.outside]


def good(studio: Studio, kind: str, shape: Shape, i: int = 1) -> bool:
    """Whether a shape lies where square `i` is; the toy's grid is 5 x 3 pixels wide."""
    mask = figure_to_mask(kind, shape.points, *SIZE)
    truth = figure_to_mask("rectangle", square(i, shape.frame), *SIZE)
    return bool((mask & truth).sum() / (mask | truth).sum() > 0.35)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_to_the_target_and_no_further(studio: Studio, kind: Any) -> None:
    number = clicked(studio, kind)
    running = track(studio, (number,), 0, 7)
    assert running.run.state == "done"
    assert (running.progress.done, running.progress.total, running.progress.frame_now) == (7, 7, 7)
    assert frames_of(studio, number) == [1, 2, 3, 4, 5, 6, 7]
    shapes = studio.project.shapes(1, number=number)
    assert all(good(studio, kind, shape) for shape in shapes)
    assert all(shape.score is not None and shape.presence is not None for shape in shapes)


def test_backward(studio: Studio) -> None:
    number = clicked(studio, frame=9)
    track(studio, (number,), 9, 0, "backward")
    assert frames_of(studio, number) == list(range(9))
    assert all(good(studio, "mask", shape) for shape in studio.project.shapes())


def test_both_ways(studio: Studio) -> None:
    number = clicked(studio, frame=4)
    running = track(studio, (number,), 4, 7, "both")
    assert frames_of(studio, number) == [1, 2, 3, 5, 6, 7]
    assert running.progress.done == running.progress.total == 6


def test_several_objects_in_one_run(studio: Studio) -> None:
    numbers = tuple(clicked(studio, kind, i) for i, kind in enumerate(KINDS, 1))
    track(studio, numbers, 0, 5)
    for i, (number, kind) in enumerate(zip(numbers, KINDS, strict=True), 1):
        assert frames_of(studio, number) == [1, 2, 3, 4, 5]
        assert all(good(studio, kind, shape, i) for shape in studio.project.shapes(1, number=number))


def test_all_visible_objects(studio: Studio) -> None:
    seen = clicked(studio, i=1)
    hidden, locked, elsewhere = clicked(studio, i=2), clicked(studio, i=3), clicked(studio, i=2, frame=5)
    studio.change_subject(hidden, {"shown": False})
    studio.change_subject(locked, {"locked": True})
    running = track(studio, (), 0, 3)
    assert running.run.spec.objects == (seen,)
    assert [frames_of(studio, n) for n in (seen, hidden, locked, elsewhere)] == [[1, 2, 3], [], [], []]


def test_a_run_is_one_undo_step(studio: Studio) -> None:
    number = clicked(studio, "polygon", tracked=False)
    before = contents(studio.project)
    track(studio, (number,), 0, 9, convert=True)
    after = contents(studio.project)
    assert studio.undo().name == "tracking"
    assert contents(studio.project) == before
    studio.redo()
    assert contents(studio.project) == after


def test_hand_edits_are_never_overwritten(studio: Studio) -> None:
    number = clicked(studio)
    by_hand = figure_to_mask("rectangle", (13, 8, 22, 15), *SIZE)  # a part of the square
    drawn, _ = studio.draw(number, 3, tuple(cvat_rle.encode(by_hand)))
    said, _, _ = studio.prompt(number, 6, [centre(1, 6)], [1], None)
    gone, _ = studio.draw(number, 8, (), outside=True)
    track(studio, (number,), 0, 9)
    assert [studio.project.shape(number, frame) for frame in (3, 6, 8)] == [drawn, said, gone]
    assert frames_of(studio, number) == [1, 2, 4, 5, 7, 9]
    track(studio, (number,), 9, 0, "backward")
    assert [studio.project.shape(number, frame) for frame in (3, 6, 8)] == [drawn, said, gone]
    assert frames_of(studio, number) == [1, 2, 4, 5, 7, 9]


def test_hand_edits_are_what_a_run_goes_by(studio: Studio) -> None:
    """An object that was shown as green before it was shown as red is not red alone."""
    number = clicked(studio, i=1, frame=4)
    track(studio, (number,), 4, 8)
    alone = {shape.frame: shape.points for shape in studio.project.shapes(5)}
    code = cvat_rle.encode(figure_to_mask("rectangle", square(2, 2), *SIZE))
    studio.draw(number, 2, tuple(code))
    track(studio, (number,), 4, 8)
    assert {shape.frame: shape.points for shape in studio.project.shapes(5)} != alone


def test_tracking_anew_replaces_what_was_tracked(studio: Studio) -> None:
    number = clicked(studio, i=1)
    track(studio, (number,), 0, 9)
    studio.prompt(number, 4, [centre(2, 4)], [1], None, replaced=True)
    studio.draw(number, 4, tuple(cvat_rle.encode(figure_to_mask("rectangle", square(2, 4), *SIZE))))
    before = [studio.project.shape(number, frame) for frame in range(4)]
    studio.erase(number, 0)
    track(studio, (number,), 4, 9)
    assert [studio.project.shape(number, frame) for frame in range(1, 4)] == before[1:]
    assert all(good(studio, "mask", shape, 2) for shape in studio.project.shapes(5, 10))


@pytest.mark.parametrize("tracked", [True, False])
def test_a_lost_object_leaves_and_comes_back(tmp_path: Path, tracked: bool) -> None:
    hidden = dict.fromkeys((3, 4, 5), (1,))
    folder = write_clip(tmp_path / "hiding", hidden=hidden)
    with opened_studio(folder) as studio:
        number = clicked(studio, "polygon", tracked=tracked)
        track(studio, (number,), 0, 9)
        shapes = {shape.frame: shape for shape in studio.project.shapes(number=number)}
        assert frames_of(studio, number) == [1, 2, 6, 7, 8, 9]
        if tracked:
            assert [shapes[frame].outside for frame in (3, 4, 5)] == [True] * 3
            assert shapes[3].points == shapes[2].points
            assert shapes[3].presence is not None
            assert shapes[3].presence < 0.5
        else:
            assert not {3, 4, 5} & shapes.keys()
        assert [bool(studio.seen(frame)) for frame in range(10)] == [True] * 3 + [False] * 3 + [True] * 4


def test_where_an_object_is_lost_what_was_tracked_before_goes(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "hiding", hidden={3: (1,)})
    with opened_studio(folder) as studio:
        number = clicked(studio)
        with studio.project.change("earlier") as write:
            write.put_shape(Shape(number, 3, "auto", False, studio.project.shapes()[0].points))
        events: list[dict[str, Any]] = []
        studio.listen(events.append)
        track(studio, (number,), 0, 4)
        assert frames_of(studio, number) == [1, 2, 4]
        assert [event["removed"] for event in events if event["type"] == "run"] == [
            [],
            [],
            [],
            [[number, 3]],
            [],
            [],
        ]


def test_polygons_are_made_tracks_when_asked(studio: Studio) -> None:
    polygon, mask = clicked(studio, "polygon", 1, tracked=False), clicked(studio, "mask", 2)
    track(studio, (polygon, mask), 0, 3)
    assert not studio.project.subject(polygon).tracked
    track(studio, (polygon, mask), 0, 3, convert=True)
    assert studio.project.subject(polygon).tracked
    assert not studio.project.subject(mask).tracked


def test_what_is_seen_between_keyframes_is_where_a_run_starts(studio: Studio) -> None:
    subject, _ = studio.add_subject("rectangle")
    studio.draw(subject.id, 0, (10, 4, 22, 16))
    studio.draw(subject.id, 8, (12, 6, 24, 18))
    studio.erase(subject.id, 8)
    studio.draw(subject.id, 8, (14, 4, 26, 16))
    here = studio.seen(4)[0][0]
    track(studio, (subject.id,), 4, 7)
    assert studio.project.shape(subject.id, 4) == here
    assert here.source == "auto"
    assert here.points == (12.0, 4.0, 24.0, 16.0)


def test_keyframes_after_the_target_stay(studio: Studio) -> None:
    number = clicked(studio)
    track(studio, (number,), 0, 9)
    late = studio.project.shapes(6)
    track(studio, (number,), 0, 5)
    assert studio.project.shapes(6) == late


@pytest.mark.parametrize(
    ("request_", "error", "sentence"),
    [
        (((1,), 0, 0), UsageError, "after frame 0"),
        (((1,), 5, 3), UsageError, "after frame 5"),
        (((1,), 0, FRAMES), UsageError, f"from 0 to {FRAMES - 1}"),
        (((1,), 3, 5), UsageError, "Expected object 1 to have a shape on frame 3"),
        (((), 3, 5), UsageError, "Expected something to track"),
        (((7,), 0, 5), NoSuchError, "no object 7"),
        (((2,), 0, 5), BusyError, "object 2 is locked"),
    ],
)
def test_a_run_that_makes_no_sense_is_told_and_changes_nothing(
    studio: Studio, request_: Any, error: type[Exception], sentence: str
) -> None:
    clicked(studio)
    studio.change_subject(clicked(studio, i=2), {"locked": True})
    before, names = contents(studio.project), studio.project.next_names
    with pytest.raises(error, match=sentence):
        studio.begin_run(spec_of(*request_))
    assert (contents(studio.project), studio.project.next_names) == (before, names)
    assert studio.runs.current is None
    assert studio.project.unfinished() is None


@pytest.mark.parametrize("keep", [True, False])
def test_cancelled_within_one_frame(stepped: Studio, toy: Stepping, keep: bool) -> None:
    number = clicked(stepped)
    before = contents(stepped.project)
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 20))
    toy.go(4)  # the first of which encodes the frame that the run starts from
    wait_for(lambda: running.progress.done == 3)
    stepped.runs.cancel(keep=keep)
    toy.go()
    finished(stepped)
    assert running.run.state == "cancelled"
    if keep:
        assert frames_of(stepped, number) in ([1, 2, 3], [1, 2, 3, 4])
        assert stepped.undo().name == "tracking"
    assert contents(stepped.project) == before
    assert stepped.project.unfinished() is None
    toy.release()
    track(stepped, (number,), 0, 20)
    assert frames_of(stepped, number) == list(range(1, 21))


def test_cancelled_while_it_is_told_of_many_hand_edits(stepped: Studio, toy: Stepping) -> None:
    number = clicked(stepped)
    for frame in range(10, 20):
        stepped.draw(
            number, frame, tuple(cvat_rle.encode(figure_to_mask("rectangle", square(1, frame), *SIZE)))
        )
    before, names = contents(stepped.project), stepped.project.next_names
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 20))
    toy.go(2)
    stepped.runs.cancel(keep=True)
    toy.go(2)
    finished(stepped)
    assert running.run.state == "cancelled"
    assert running.progress.done == 0
    assert (contents(stepped.project), stepped.project.next_names) == (before, names)


def test_nothing_to_cancel_is_told(studio: Studio) -> None:
    with pytest.raises(NoSuchError, match="there is none"):
        studio.runs.cancel(keep=True)


def test_during_a_run_clicks_are_answered_and_others_wait(stepped: Studio, toy: Stepping) -> None:
    number, other = clicked(stepped, i=1), clicked(stepped, i=2)
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 10))
    for act in (
        lambda: stepped.begin_run(spec_of((other,), 0, 10)),
        stepped.undo,
        stepped.redo,
        lambda: stepped.change_subject(number, {"kind": "polygon"}),
        lambda: stepped.change_subject(number, {"tracked": True}),
        stepped.runs.resume,
    ):
        with pytest.raises(BusyError, match="A run is going on"):
            act()
    stepped.change_subject(number, {"name": "fish"})
    stepped.change_subject(other, {"kind": "rectangle"})
    toy.go(2)
    wait_for(lambda: running.progress.done == 1)
    toy.release()
    shape, _, _ = stepped.prompt(other, 9, [centre(2, 9)], [1], None)
    finished(stepped)
    assert shape.source == "prompted"
    assert frames_of(stepped, number) == list(range(1, 11))


def test_what_is_drawn_during_a_run_is_kept_and_known_to_the_rest(stepped: Studio, toy: Stepping) -> None:
    number = clicked(stepped, i=1)
    code = tuple(cvat_rle.encode(figure_to_mask("rectangle", square(2, 8), *SIZE)))
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 12))
    toy.go(4)
    wait_for(lambda: running.progress.done == 3)
    drawn, _ = stepped.draw(number, 8, code)
    toy.release()
    finished(stepped)
    assert stepped.project.shape(number, 8) == drawn
    assert frames_of(stepped, number) == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    after = {shape.frame: shape.points for shape in stepped.project.shapes(9, 13)}
    assert stepped.undo().name == "draw mask"
    assert stepped.undo().name == "tracking"
    track(stepped, (number,), 0, 12)
    unaware = {shape.frame: shape.points for shape in stepped.project.shapes(9, 13)}
    assert after != unaware


def test_taking_a_run_back_leaves_what_was_drawn_meanwhile(stepped: Studio, toy: Stepping) -> None:
    number = clicked(stepped, i=1)
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 12))
    toy.go(4)
    wait_for(lambda: running.progress.done == 3)
    shape = stepped.project.shape(number, 2)
    assert shape is not None
    drawn, _ = stepped.draw(number, 2, shape.points)
    stepped.runs.cancel(keep=False)
    toy.release()
    finished(stepped)
    assert [shape.frame for shape in stepped.project.shapes()] == [0, 2]
    assert stepped.project.shape(number, 2) == drawn
    assert stepped.undo().name == "draw mask"
    assert [shape.frame for shape in stepped.project.shapes()] == [0]


def test_an_object_deleted_during_a_run_stays_deleted(stepped: Studio, toy: Stepping) -> None:
    first, second = clicked(stepped, i=1), clicked(stepped, i=2)
    toy.hold()
    running = stepped.begin_run(spec_of((first, second), 0, 12))
    toy.go(4)
    wait_for(lambda: running.progress.done == 3)
    stepped.drop_subject(first)
    toy.release()
    finished(stepped)
    assert running.run.state == "done"
    assert [subject.id for subject in stepped.project.subjects()] == [second]
    assert frames_of(stepped, second) == list(range(1, 13))
    stepped.undo()
    assert frames_of(stepped, first)[:3] == [1, 2, 3]
    stepped.undo()
    assert [shape.frame for shape in stepped.project.shapes()] == [0, 0]


def test_when_all_its_objects_are_deleted_a_run_ends(stepped: Studio, toy: Stepping) -> None:
    number = clicked(stepped)
    toy.hold()
    running = stepped.begin_run(spec_of((number,), 0, 20))
    toy.go(3)
    wait_for(lambda: running.progress.done == 2)
    stepped.drop_subject(number)
    toy.release()
    finished(stepped)
    assert running.progress.done <= 4
    assert stepped.project.shapes() == []


def test_everybody_sees_a_run_grow(studio: Studio) -> None:
    number = clicked(studio)
    events: list[dict[str, Any]] = []
    studio.listen(events.append)
    track(studio, (number,), 0, 4)
    runs = [event for event in events if event["type"] == "run"]
    assert [event["run"]["state"] for event in runs] == ["running"] * 5 + ["done"]
    assert [event["run"]["done"] for event in runs] == [0, 1, 2, 3, 4, 4]
    assert [[shape["frame"] for shape in event["shapes"]] for event in runs] == [[], [1], [2], [3], [4], []]
    revisions = [event["revision"] for event in runs]
    assert revisions == sorted(revisions)
    assert revisions[-1] == studio.project.revision
    assert runs[3]["run"]["speed"] > 0


class Failing(ToyNetwork):
    """Fails at the so-manieth picture."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def encode_image(self, pixels: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise SourceError("The frame cannot be decoded.")
        return super().encode_image(pixels)


def test_a_run_that_fails_keeps_what_it_did_and_can_be_gone_on_with(folder: Path) -> None:
    toy = Failing(at=7)
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio)
        events: list[dict[str, Any]] = []
        studio.listen(events.append)
        track(studio, (number,), 0, 12)
        done = frames_of(studio, number)
        assert 0 < len(done) < 12
        assert events[-1]["run"]["error"] == "The frame cannot be decoded."
        assert events[-1]["run"]["state"] == "interrupted"
        left = studio.project.unfinished()
        assert left is not None
        assert left.reached == done[-1]
        studio.runs.resume()
        finished(studio)
        assert frames_of(studio, number) == list(range(1, 13))
        assert studio.undo().name == "tracking"
        assert [shape.frame for shape in studio.project.shapes()] == [0]


def test_a_run_that_fails_at_once_leaves_nothing(folder: Path) -> None:
    toy = Failing(at=2)
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio, "polygon", tracked=False)
        before = contents(studio.project)
        track(studio, (number,), 0, 12, convert=True)
        assert contents(studio.project) == before
        assert studio.project.unfinished() is None


def test_a_model_that_cannot_be_loaded_for_a_run_is_told(studio: Studio) -> None:
    def load(name: str) -> Any:
        raise ModelNotReadyError(f"{name} is not to be had.")

    number = clicked(studio)
    studio.worker._load = load
    events: list[dict[str, Any]] = []
    studio.listen(events.append)
    track(studio, (number,), 0, 12, model="sam3")
    assert events[-2]["run"]["error"] == "sam3 is not to be had."
    assert [shape.frame for shape in studio.project.shapes()] == [0]
    track(studio, (number,), 0, 3)
    assert frames_of(studio, number) == [1, 2, 3]


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_stopped_in_the_middle_the_next_start_goes_on(folder: Path, direction: Any) -> None:
    toy, frame, target = Stepping(), 10, {"forward": 20, "backward": 0, "both": 14}[direction]
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio, frame=frame)
        whole = track(studio, (number,), frame, target, direction)
        expected = {shape.frame for shape in studio.project.shapes()}
        studio.undo()
        toy.hold()
        running = studio.begin_run(spec_of((number,), frame, target, direction))
        toy.go(7)
        wait_for(lambda: running.progress.done >= 5)
        toy.release()
    assert whole.progress.total in (10, 8)
    with opened_studio(folder) as studio:
        left = studio.project.unfinished()
        assert left is not None or running.run.state == "done"
        if left is not None:
            assert isinstance(left, Run)
            resumed = studio.runs.resume()
            assert resumed.progress.done >= 5
            finished(studio)
            assert resumed.progress.done == resumed.progress.total == whole.progress.total
        assert {shape.frame for shape in studio.project.shapes()} == expected
        assert all(good(studio, "mask", shape) for shape in studio.project.shapes())
        assert studio.undo().name == "tracking"
        assert [shape.frame for shape in studio.project.shapes()] == [frame]
        with pytest.raises(NoSuchError, match="there is none"):
            studio.runs.resume()


def test_an_unfinished_run_may_be_left_as_it_is(folder: Path) -> None:
    toy = Failing(at=5)
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio)
        track(studio, (number,), 0, 12)
        done = frames_of(studio, number)
        studio.runs.forget()
        assert studio.project.unfinished() is None
        assert frames_of(studio, number) == done
        with pytest.raises(NoSuchError, match="there is none"):
            studio.runs.forget()


@pytest.mark.parametrize("policy", ["sam2", "samurai", "sam2long"])
def test_every_policy(studio: Studio, policy: str) -> None:
    number = clicked(studio)
    running = track(studio, (number,), 0, 5, policy=policy)
    assert running.run.spec.policy == policy
    assert frames_of(studio, number) == [1, 2, 3, 4, 5]
