"""What can be done to a project: objects, clicks, drawing, undo."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keepsight.apps.annotator.conversion import converted
from keepsight.apps.annotator.drawing import COLOURS
from keepsight.apps.annotator.errors import BusyError, ModelNotReadyError, NoSuchError
from keepsight.apps.annotator.project import KINDS, Shape
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import FrameIndexError, PromptError, WeightsError
from keepsight.shapes import cvat_rle, figure_to_mask
from keepsight.types import BoolArray
from tests.apps.annotator.rooms import (
    FRAMES,
    SIZE,
    box_of,
    clicked,
    contents,
    opened_studio,
    refusal,
    square,
    wait_for,
)
from tests.toy import ToyNetwork, centre

SQUARE = (10.0, 4.0, 22.0, 4.0, 22.0, 16.0, 10.0, 16.0)


def mask_of(kind: str, shape: Shape) -> BoolArray:
    return figure_to_mask(kind, shape.points, *SIZE)


def iou(a: BoolArray, b: BoolArray) -> float:
    return float((a & b).sum() / (a | b).sum())


def truth(i: int, frame: int) -> BoolArray:
    return figure_to_mask("rectangle", square(i, frame), *SIZE)


def test_new_objects_have_names_and_colours_of_their_own(studio: Studio) -> None:
    made = [studio.add_subject("mask")[0] for _ in range(4)]
    assert [subject.name for subject in made] == ["object 1", "object 2", "object 3", "object 4"]
    assert len({subject.colour for subject in made}) == 4
    assert made[0].colour == COLOURS[0]


def test_rectangles_and_polygons_begin_as_tracks_and_masks_do_not(studio: Studio) -> None:
    assert {kind: studio.add_subject(kind)[0].tracked for kind in KINDS} == {
        "mask": False,
        "polygon": True,
        "rectangle": True,
    }
    assert studio.add_subject("mask", tracked=True)[0].tracked


@pytest.mark.parametrize("kind", KINDS)
def test_a_click_is_answered_with_a_shape_of_the_objects_kind(studio: Studio, kind: Any) -> None:
    subject, _ = studio.add_subject(kind)
    shape, said, change = studio.prompt(subject.id, 2, [centre(1, 2)], [1], None)
    assert iou(mask_of(kind, shape), truth(1, 2)) > 0.5  # the toy's grid is 5 x 3 pixels wide
    assert (shape.source, shape.outside, shape.frame) == ("prompted", False, 2)
    assert shape.score is not None
    assert 0 < shape.score <= 1
    assert studio.project.shape(subject.id, 2) is not None
    assert studio.project.said(subject.id, 2) == said
    assert change.revision == studio.project.revision


def test_a_box_is_answered_too(studio: Studio) -> None:
    subject, _ = studio.add_subject("mask")
    box = tuple(float(edge) for edge in square(2, 0))
    shape, said, _ = studio.prompt(subject.id, 0, [], [], (box[0], box[1], box[2], box[3]))
    assert iou(mask_of("mask", shape), truth(2, 0)) > 0.6
    assert said.box == box


def test_clicks_add_up_on_their_frame(studio: Studio) -> None:
    number = clicked(studio)
    _, said, _ = studio.prompt(number, 0, [(40.0, 40.0)], [0], None)
    assert said.points == (centre(1, 0), (40.0, 40.0))
    assert said.labels == (1, 0)
    _, said, _ = studio.prompt(number, 0, [centre(2, 0)], [1], None, replaced=True)
    assert said.points == (centre(2, 0),)


def test_told_anew_after_a_restart_clicks_say_the_same(folder: Path) -> None:
    with opened_studio(folder) as studio:
        number = clicked(studio)
        studio.prompt(number, 0, [(40.0, 40.0)], [0], None)
        at_once, _, _ = studio.prompt(number, 0, [(12.0, 6.0)], [1], None)
        studio.undo()
    with opened_studio(folder) as studio:
        after, _, _ = studio.prompt(number, 0, [(12.0, 6.0)], [1], None)
    assert after == at_once


def test_a_click_corrects_what_was_drawn(studio: Studio) -> None:
    subject, _ = studio.add_subject("polygon")
    drawn, _ = studio.draw(subject.id, 0, SQUARE)
    _, said, _ = studio.prompt(subject.id, 0, [(12.0, 6.0)], [1], None)
    assert said.base == drawn
    shape, _ = studio.unprompt(subject.id, 0)
    assert shape == drawn == studio.project.shape(subject.id, 0)


def test_a_click_between_keyframes_corrects_what_is_seen_there(studio: Studio) -> None:
    subject, _ = studio.add_subject("polygon")
    studio.draw(subject.id, 0, SQUARE)
    _, said, _ = studio.prompt(subject.id, 3, [centre(1, 3)], [1], None)
    assert said.base is not None
    assert said.base.points == SQUARE
    shape, _ = studio.unprompt(subject.id, 3)
    assert shape is None
    assert [shape.frame for shape in studio.project.shapes()] == [0]


def test_taking_back_all_clicks_leaves_nothing(studio: Studio) -> None:
    number = clicked(studio)
    assert studio.unprompt(number, 0)[0] is None
    assert studio.project.shapes() == []
    with pytest.raises(NoSuchError, match="there are none"):
        studio.unprompt(number, 0)


def test_drawing_by_hand_takes_the_place_of_clicks(studio: Studio) -> None:
    number = clicked(studio)
    code = tuple(cvat_rle.encode(truth(1, 0)))
    shape, _ = studio.draw(number, 0, code)
    assert shape == Shape(number, 0, "manual", False, code)
    assert studio.project.said(number, 0) is None


def test_a_rectangle_may_be_drawn_from_any_corner(studio: Studio) -> None:
    subject, _ = studio.add_subject("rectangle")
    shape, _ = studio.draw(subject.id, 0, (30, 20, 10, 5))
    assert shape.points == (10, 5, 30, 20)


def test_leaving_needs_no_points(studio: Studio) -> None:
    subject, _ = studio.add_subject("rectangle")
    studio.draw(subject.id, 0, (10, 5, 30, 20))
    shape, _ = studio.draw(subject.id, 4, (), outside=True)
    assert (shape.outside, shape.points) == (True, (10, 5, 30, 20))
    assert studio.seen(3) == [(Shape(subject.id, 3, "auto", False, (10, 5, 30, 20)), "rectangle", True)]
    assert studio.seen(4) == []


@pytest.mark.parametrize(
    ("kind", "points", "sentence"),
    [
        ("rectangle", (1, 2, 3), "x1, y1, x2, y2"),
        ("rectangle", (1, 2, 1, 8), "x1 < x2"),
        ("rectangle", (100, 60, 120, 80), "reaches into the frame"),
        ("polygon", (0, 0, 5, 5), "at least three distinct points"),
        ("polygon", (0, 0, 5, 5, 9), "Every x needs its y"),
        ("polygon", (), "at least three distinct points"),
        ("mask", (), "at least five numbers"),
        ("mask", (4, 0, 0, 1, 1), "at least one pixel"),
        ("mask", (0, 4, 79, 47, 80, 48), "within the frame"),
        ("mask", (0, 5, 0, 0, 1, 1), "fill its box"),
    ],
)
def test_a_shape_that_is_none_is_told_and_changes_nothing(
    studio: Studio, kind: Any, points: tuple[float, ...], sentence: str
) -> None:
    subject, _ = studio.add_subject(kind)
    before = contents(studio.project)
    with pytest.raises(PromptError):
        studio.draw(subject.id, 0, points)
    assert sentence in refusal(lambda: studio.draw(subject.id, 0, points))
    assert contents(studio.project) == before


def test_a_click_that_fits_nothing_is_told_and_changes_nothing(studio: Studio) -> None:
    number = clicked(studio)
    before = contents(studio.project)
    with pytest.raises(PromptError, match="inside the frame"):
        studio.prompt(number, 0, [(500.0, 3.0)], [1], None)
    with pytest.raises(PromptError, match="got neither"):
        studio.prompt(number, 0, [], [], None)
    with pytest.raises(FrameIndexError, match=f"from 0 to {FRAMES - 1}, but got {FRAMES}"):
        studio.prompt(number, FRAMES, [(5.0, 3.0)], [1], None)
    with pytest.raises(NoSuchError, match="no object 99"):
        studio.prompt(99, 0, [(5.0, 3.0)], [1], None)
    assert contents(studio.project) == before


def test_a_click_that_finds_nothing_is_told(folder: Path) -> None:
    class Blind(ToyNetwork):
        def _found(self, *arguments: Any) -> Any:
            found = super()._found(*arguments)
            return found._replace(logits=found.logits * 0 - 9)

    with opened_studio(folder, network=Blind()) as studio:
        subject, _ = studio.add_subject("mask")
        with pytest.raises(PromptError, match="finds nothing there"):
            studio.prompt(subject.id, 0, [centre(1, 0)], [1], None)
        assert studio.project.shapes() == []
        assert studio.project.all_said() == []


def test_a_locked_object_is_left_alone(studio: Studio) -> None:
    number = clicked(studio)
    studio.change_subject(number, {"locked": True})
    before = contents(studio.project)
    acts: list[Callable[[], object]] = [
        lambda: studio.prompt(number, 0, [(12.0, 6.0)], [1], None),
        lambda: studio.draw(number, 0, SQUARE),
        lambda: studio.erase(number, 0),
        lambda: studio.unprompt(number, 0),
        lambda: studio.drop_subject(number),
        lambda: studio.change_subject(number, {"kind": "polygon"}),
        lambda: studio.change_subject(number, {"tracked": True}),
    ]
    for act in acts:
        with pytest.raises(BusyError, match=r"object 1 is locked\. Unlock it first\."):
            act()
    assert contents(studio.project) == before
    studio.change_subject(number, {"locked": False})
    studio.drop_subject(number)
    assert studio.project.subjects() == []


def test_what_is_not_there_cannot_be_erased(studio: Studio) -> None:
    number = clicked(studio)
    studio.erase(number, 0)
    with pytest.raises(NoSuchError, match="a shape of object 1 on frame 0, but there is none"):
        studio.erase(number, 0)


def test_an_object_and_its_first_shape_are_one_step(studio: Studio) -> None:
    first = clicked(studio)
    studio.undo()
    assert contents(studio.project) == {"objects": [], "prompts": [], "shapes": []}
    studio.redo()
    assert len(studio.project.shapes()) == 1
    studio.prompt(first, 0, [(12.0, 6.0)], [1], None)
    second, _ = studio.add_subject("polygon")
    studio.change_subject(first, {"name": "fish"})
    studio.draw(second.id, 0, SQUARE)  # something was done between
    for name, shapes in (("draw polygon", 1), ("rename object 1", 1), ("new object", 1), ("click", 1)):
        assert studio.undo().name == name
        assert len(studio.project.shapes()) == shapes
    assert len(studio.project.subjects()) == 1


def test_undo_and_redo_tell_when_there_is_nothing(studio: Studio) -> None:
    with pytest.raises(BusyError, match="something to undo"):
        studio.undo()
    clicked(studio)
    studio.undo()
    studio.redo()
    with pytest.raises(BusyError, match="something to redo"):
        studio.redo()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_a_new_kind_converts_all_shapes(studio: Studio, kind: Any, wanted: Any) -> None:
    number = clicked(studio, kind)
    studio.prompt(number, 5, [centre(1, 5)], [1], None)
    before = {shape.frame: mask_of(kind, shape) for shape in studio.project.shapes()}
    names = studio.project.next_names
    studio.change_subject(number, {"kind": wanted})
    after = studio.project.shapes()
    assert [shape.frame for shape in after] == [0, 5]
    for shape in after:
        assert iou(mask_of(wanted, shape), before[shape.frame]) > 0.7
    if kind != wanted:
        studio.undo()
    assert studio.project.next_names[0] == names[0]
    restored = {shape.frame: mask_of(kind, shape) for shape in studio.project.shapes()}
    assert all((restored[frame] == mask).all() for frame, mask in before.items())


def test_converting_there_and_back_keeps_rectangles() -> None:
    shape = Shape(1, 0, "manual", False, (3.0, 4.0, 20.0, 30.0))
    for kind in ("polygon", "mask"):
        there = converted(shape, "rectangle", kind, *SIZE)
        assert np.allclose(box_of(there)[:2] if kind == "mask" else min(there.points), (3.0, 4.0)[:1], atol=1)
        assert converted(there, kind, "rectangle", *SIZE).points == shape.points


def test_everybody_is_told_of_changes(studio: Studio) -> None:
    told: list[dict[str, Any]] = []
    stop = studio.listen(told.append)
    number = clicked(studio)
    studio.undo()
    events = [event for event in told if event["type"] == "changed"]
    assert [(e["type"], e["objects"], e["shapes"]) for e in events] == [
        ("changed", True, []),
        ("changed", True, [[number, 0]]),
        ("changed", True, [[number, 0]]),
    ]
    assert [event["revision"] for event in events] == [1, 2, 3]
    stop()
    count = len(told)
    studio.redo()
    assert len(told) == count


def test_before_the_model_is_there_clicks_are_told_to_wait(folder: Path) -> None:
    with opened_studio(folder) as ready:
        clip, project = ready.clip, ready.project
        load = threading.Event()

        def slow(name: str) -> Any:
            load.wait(60)
            return ToyNetwork()

        studio = Studio(project, clip, slow)
        studio.start()
        subject, _ = studio.add_subject("mask")
        with pytest.raises(ModelNotReadyError, match="pocket is still being loaded"):
            studio.prompt(subject.id, 0, [centre(1, 0)], [1], None)
        load.set()
        wait_for(lambda: studio.worker.model.state == "ready")
        studio.prompt(subject.id, 0, [centre(1, 0)], [1], None)
        studio.worker.close()


def test_a_model_that_cannot_be_loaded_is_told(folder: Path) -> None:
    def broken(name: str) -> Any:
        raise WeightsError("The file is damaged.")

    with opened_studio(folder) as ready:
        studio = Studio(ready.project, ready.clip, broken, model="sam3")
        told: list[dict[str, Any]] = []
        studio.listen(told.append)
        studio.start()
        wait_for(lambda: bool(told))
        assert told[0]["model"] == {"name": "sam3", "state": "failed", "error": "The file is damaged."}
        subject, _ = studio.add_subject("mask")
        with pytest.raises(ModelNotReadyError, match=r"sam3 is not there: The file is damaged\."):
            studio.prompt(subject.id, 0, [centre(1, 0)], [1], None)
        studio.draw(subject.id, 0, tuple(cvat_rle.encode(truth(1, 0))))
        studio.worker.close()


def test_many_people_at_once_do_not_corrupt_it(studio: Studio) -> None:
    number = clicked(studio)
    failures: list[BaseException] = []

    def person(which: int) -> None:
        try:
            for frame in range(6):
                if which % 2:
                    studio.draw(number, frame, tuple(cvat_rle.encode(truth(1, frame))))
                else:
                    studio.prompt(number, frame, [centre(1, frame)], [1], None)
        except KeyboardInterrupt as error:
            failures.append(error)

    people = [threading.Thread(target=person, args=(which,)) for which in range(4)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert not failures
    assert [shape.frame for shape in studio.project.shapes()] == list(range(6))
    end, steps = contents(studio.project), 0
    while studio.project.undo() is not None:
        steps += 1
    assert contents(studio.project) == {"objects": [], "prompts": [], "shapes": []}
    for _ in range(steps):
        studio.redo()
    assert contents(studio.project) == end
