"""The project file: what is changed, undone and done again."""

import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.apps.annotator.project import Project, RunSpec, Said, Shape, Subject, open_project
from keepsight.apps.annotator.project.history import DEPTH
from tests.apps.annotator.rooms import PRINT, contents

SUBJECT = Subject(0, "a", "#2696ff", "mask", False)
SHAPE = Shape(1, 0, "manual", False, (1, 2, 3.5), 0.25, 1.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = open_project(tmp_path / "a.keepsight", PRINT, tmp_path / "clip")
    yield project
    project.close()


def add(project: Project, subject: Subject = SUBJECT) -> Subject:
    with project.change("new") as write:
        return write.add_subject(subject)


def test_what_was_written_is_read(project: Project) -> None:
    subject = add(project)
    said = Said(1, 3, ((1.5, 2.0),), (1,), (0.0, 0.0, 5.0, 5.0), replace(SHAPE, frame=3), True)
    with project.change("all") as write:
        write.put_shape(SHAPE)
        write.put_said(said)
    assert project.subjects() == [subject] == [replace(SUBJECT, id=1)]
    assert project.shape(1, 0) == SHAPE
    assert project.said(1, 3) == said
    assert project.shapes() == [SHAPE] == project.hand_edits(1)
    assert project.all_said(number=1) == [said]
    assert project.marks() == [(1, 0, "manual", False, 0.25, 1.0)]


def test_reopened_it_is_the_same(project: Project, tmp_path: Path) -> None:
    add(project)
    with project.change("draw") as write:
        write.put_shape(SHAPE)
    before, revision, names = contents(project), project.revision, project.next_names
    project.close()
    again = open_project(project.path, PRINT, tmp_path)
    assert (contents(again), again.revision, again.next_names) == (before, revision, names)
    assert again.undo() is not None
    assert again.shapes() == []
    again.close()


def test_revisions_grow_by_one(project: Project) -> None:
    revisions = [project.revision]
    add(project)
    revisions.append(project.revision)
    project.undo()
    revisions.append(project.revision)
    project.redo()
    revisions.append(project.revision)
    assert revisions == [0, 1, 2, 3]


def test_a_change_that_changes_nothing_is_no_step(project: Project) -> None:
    with project.change("nothing") as write:
        pass
    assert write.done.revision == 0
    assert project.next_names == (None, None)


def test_after_an_exception_nothing_is_changed(project: Project) -> None:
    add(project)
    before = contents(project)

    def fail() -> None:
        with project.change("half") as write:
            write.put_shape(SHAPE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(project) == before
    assert project.next_names == ("new", None)


def test_a_change_says_what_it_touched(project: Project) -> None:
    add(project)
    with project.change("draw") as write:
        write.put_shape(SHAPE)
        write.put_shape(replace(SHAPE, frame=4))
    assert write.done.objects is False
    assert write.done.shapes == ((1, 0), (1, 4))
    with project.change("delete") as write:
        write.drop_subject(1)
    assert write.done.objects is True
    assert write.done.shapes == ((1, 0), (1, 4))
    undone = project.undo()
    assert undone is not None
    assert (undone.name, undone.objects, undone.shapes) == ("delete", True, ((1, 0), (1, 4)))


def test_ids_are_never_given_again(project: Project) -> None:
    first = add(project)
    with project.change("delete") as write:
        write.drop_subject(first.id)
    assert add(project).id == first.id + 1


def test_something_new_forgets_what_was_undone(project: Project) -> None:
    add(project)
    project.undo()
    add(project, replace(SUBJECT, name="b"))
    assert project.redo() is None
    assert [subject.name for subject in project.subjects()] == ["b"]


def test_an_unknown_object_and_run_are_told(project: Project) -> None:
    with pytest.raises(NoSuchError, match="no object 7"):
        project.subject(7)
    with pytest.raises(NoSuchError, match="no run 7"):
        project.run(7)


def test_history_is_bounded(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keepsight.apps.annotator.project.history.DEPTH", 5)
    assert DEPTH >= 100
    add(project)
    for frame in range(10):
        with project.change(f"draw {frame}") as write:
            write.put_shape(replace(SHAPE, frame=frame))
    undone = 0
    while project.undo() is not None:
        undone += 1
    assert undone == 5
    assert [shape.frame for shape in project.shapes()] == [0, 1, 2, 3, 4]


Action = tuple[Any, ...]
OBJECTS = st.integers(1, 4)
NUMBERS = st.integers(0, 3)
POINTS = st.lists(st.floats(-1e6, 1e6) | st.integers(0, 10**6), max_size=6).map(tuple)
SCORES = st.none() | st.floats(0, 1)
ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.text(min_size=1, max_size=5)),
    st.tuples(st.just("rename"), OBJECTS, st.text(min_size=1, max_size=5), st.booleans()),
    st.tuples(st.just("drop"), OBJECTS),
    st.tuples(st.just("draw"), OBJECTS, NUMBERS, POINTS, SCORES, st.booleans()),
    st.tuples(st.just("erase"), OBJECTS, NUMBERS),
    st.tuples(st.just("say"), OBJECTS, NUMBERS, st.floats(0, 100)),
    st.tuples(st.just("many"), OBJECTS, POINTS),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


def act(project: Project, action: Action) -> None:
    """Does it, if it can be done."""
    what, *told = action
    if what in ("undo", "redo"):
        getattr(project, what)()
        return
    known = {subject.id for subject in project.subjects()}
    if what != "add" and told[0] not in known:
        return
    with project.change(what) as write:
        if what == "add":
            write.add_subject(replace(SUBJECT, name=told[0].encode(errors="replace").decode()))
        elif what == "rename":
            write.put_subject(replace(project.subject(told[0]), name=told[1], shown=told[2]))
        elif what == "drop":
            write.drop_subject(told[0])
        elif what == "draw":
            number, frame, points, score, outside = told
            write.put_shape(Shape(number, frame, "auto", outside, points, score, score))
        elif what == "erase":
            write.drop_shape(*told)
        elif what == "say":
            write.put_said(Said(told[0], told[1], ((told[2], 1.0),), (1,)))
        else:
            for frame in range(4):
                write.put_shape(Shape(told[0], frame, "manual", False, told[1]))
                write.drop_shape(told[0], frame - 1)
                write.put_shape(Shape(told[0], frame, "manual", False, (*told[1], 1.0)))


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_undoing_all_leads_to_the_start_and_redoing_all_to_the_end(actions: list[Action]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = open_project(Path(folder) / "a.keepsight", PRINT, Path(folder))
        try:
            start = contents(project)
            for action in actions:
                act(project, action)
            while project.redo() is not None:
                pass
            end, on_the_way = contents(project), []
            while project.undo() is not None:
                on_the_way.append(contents(project))
            assert contents(project) == start
            for expected in [*on_the_way[::-1][1:], end] if on_the_way else []:
                assert project.redo() is not None
                assert contents(project) == expected
            assert project.redo() is None
            assert contents(project) == end
        finally:
            project.close()


def begin(project: Project) -> int:
    with project.begin_run(RunSpec((1,), 0, 9, "forward", "pocket", "sam2", False), "tracking") as (_, run):
        pass
    return run.id


def write_frame(project: Project, run: int, frame: int, points: tuple[float, ...] = (9.0,)) -> None:
    """As a run does it: what was changed meanwhile is left alone."""
    with project.run_change(run) as write:
        if not write.overtaken(1, frame):
            write.put_shape(Shape(1, frame, "auto", False, points))
        write.reached(run, frame)


def test_a_run_is_one_step_though_it_is_saved_frame_by_frame(project: Project) -> None:
    add(project)
    before = contents(project)
    run = begin(project)
    for frame in range(5):
        write_frame(project, run, frame)
        assert sqlite3.connect(project.path).execute("SELECT count(*) FROM shapes").fetchone() == (frame + 1,)
    project.end_run(run, "done")
    after = contents(project)
    undone = project.undo()
    assert undone is not None
    assert undone.name == "tracking"
    assert contents(project) == before
    project.redo()
    assert contents(project) == after


def test_a_run_that_wrote_nothing_is_no_step(project: Project) -> None:
    add(project)
    project.end_run(begin(project), "done")
    assert project.next_names == ("new", None)


def test_taking_a_run_back_leaves_what_was_done_meanwhile(project: Project) -> None:
    add(project)
    with project.change("old") as write:
        write.put_shape(Shape(1, 1, "auto", False, (1.0,)))
        write.put_shape(Shape(1, 2, "auto", False, (2.0,)))
    run = begin(project)
    write_frame(project, run, 1)
    write_frame(project, run, 2)
    write_frame(project, run, 3)
    with project.change("by hand") as write:
        write.put_shape(Shape(1, 2, "manual", False, (5.0,)))
        write.drop_shape(1, 3)
    project.end_run(run, "cancelled", keep=False)
    kept = {shape.frame: (shape.source, shape.points) for shape in project.shapes()}
    assert kept == {1: ("auto", (1.0,)), 2: ("manual", (5.0,))}
    assert project.next_names == ("by hand", None)
    project.undo()
    assert {shape.frame: shape.points for shape in project.shapes()} == {1: (1.0,), 2: (2.0,)}


def test_what_a_run_made_and_a_person_deleted_is_no_step_once_the_run_is_taken_back(project: Project) -> None:
    add(project)
    run = begin(project)
    write_frame(project, run, 1)
    with project.change("delete shape") as write:
        write.drop_shape(1, 1)
    project.end_run(run, "cancelled", keep=False)
    assert project.next_names == ("new", None)


def cut_off(project: Project, tmp_path: Path) -> tuple[int, Project]:
    """A run that ended with its project after its first frame, and the project opened again."""
    add(project)
    run = begin(project)
    write_frame(project, run, 1)
    project.close()
    return run, open_project(project.path, PRINT, tmp_path)


def test_going_on_with_a_run_forgets_what_was_undone(project: Project, tmp_path: Path) -> None:
    """Done again later, it would go back to a frame without what the run wrote there."""
    run, again = cut_off(project, tmp_path)
    with again.change("draw") as write:
        write.put_shape(replace(SHAPE, frame=2))
    again.undo()
    left = again.unfinished()
    assert left is not None
    again.resume_run(left, "tracking")
    write_frame(again, run, 2)
    again.end_run(run, "done")
    assert again.redo() is None
    assert [shape.frame for shape in again.shapes()] == [1, 2]
    again.close()


DOING = ACTIONS.filter(lambda action: action[0] not in ("undo", "redo"))


@settings(max_examples=60, deadline=None)
@given(st.lists(DOING, max_size=12), st.data())
def test_taking_a_run_back_is_as_if_it_had_never_been(actions: list[Action], data: st.DataObject) -> None:
    """With what a person does between its frames, on them and elsewhere."""
    frames = data.draw(st.lists(st.integers(0, 5), max_size=len(actions)))
    with tempfile.TemporaryDirectory() as folder:
        with_run, without = (
            open_project(Path(folder) / name, PRINT, Path(folder)) for name in ("a.keepsight", "b.keepsight")
        )
        try:
            for project in (with_run, without):
                add(project)
            run = begin(with_run)
            for place, action in enumerate(actions):
                there = any(subject.id == 1 for subject in with_run.subjects())
                if place < len(frames) and there:
                    write_frame(with_run, run, frames[place])
                act(with_run, action)
                act(without, action)
            with_run.end_run(run, "cancelled", keep=False)
            assert contents(with_run) == contents(without)
            while with_run.undo() is not None:
                assert without.undo() is not None
                assert contents(with_run) == contents(without)
            assert without.undo() is None
        finally:
            with_run.close()
            without.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(DOING, max_size=12), st.data())
def test_a_run_that_is_kept_is_undone_and_done_again(actions: list[Action], data: st.DataObject) -> None:
    """With what a person does between its frames, and between two servers that it went on in."""
    frames = data.draw(st.lists(st.integers(0, 5), max_size=len(actions)))
    cut = data.draw(st.integers(0, len(actions)))
    with tempfile.TemporaryDirectory() as folder:
        project = open_project(Path(folder) / "a.keepsight", PRINT, Path(folder))
        try:
            add(project)
            before, run = contents(project), begin(project)
            for place, action in enumerate(actions):
                if place == cut:
                    project.close()
                    project = open_project(project.path, PRINT, Path(folder))
                    project.resume_run(project.run(run), "tracking")
                if place < len(frames) and any(subject.id == 1 for subject in project.subjects()):
                    write_frame(project, run, frames[place])
                act(project, action)
            project.end_run(run, "done")
            states = [contents(project)]
            while project.next_names[0] != "new":
                project.undo()
                states.append(contents(project))
            assert states[-1] == before
            for expected in states[-2::-1]:
                project.redo()
                assert contents(project) == expected
        finally:
            project.close()


def test_a_run_cut_off_is_found_and_can_be_gone_on_with(project: Project, tmp_path: Path) -> None:
    run, again = cut_off(project, tmp_path)
    left = again.unfinished()
    assert left is not None
    assert (left.id, left.state, left.reached) == (run, "interrupted", 1)
    again.resume_run(left, "tracking")
    write_frame(again, run, 2)
    again.end_run(run, "done")
    assert again.unfinished() is None
    again.undo()
    assert again.shapes() == []
    again.close()


def test_a_run_that_was_undone_is_not_gone_on_with(project: Project, tmp_path: Path) -> None:
    _, again = cut_off(project, tmp_path)
    again.undo()
    assert again.unfinished() is None
    again.close()
