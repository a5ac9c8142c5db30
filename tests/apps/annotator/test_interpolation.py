"""What is seen of an object between its keyframes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.annotator.interpolation import between, seen
from keepsight.apps.annotator.project import Kind, Project, Shape, Subject, open_project
from tests.apps.annotator.rooms import PRINT

TRIANGLE = (0.0, 0.0, 10.0, 0.0, 0.0, 10.0)
MOVED = (20.0, 10.0, 30.0, 10.0, 20.0, 20.0)
MASK = (0.0, 4.0, 1.0, 1.0, 2.0, 2.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = open_project(tmp_path / "a.keepsight", PRINT, tmp_path)
    yield project
    project.close()


def subject(project: Project, kind: Kind, *shapes: Shape, tracked: bool = True) -> Subject:
    with project.change("new") as write:
        made = write.add_subject(Subject(0, "a", "#2696ff", kind, tracked))
        for shape in shapes:
            write.put_shape(shape)
    return made


def key(frame: int, points: tuple[float, ...], *, outside: bool = False) -> Shape:
    return Shape(1, frame, "manual", outside, points, 0.5, 0.75)


def test_before_the_first_keyframe_nothing_is_seen(project: Project) -> None:
    made = subject(project, "polygon", key(5, TRIANGLE))
    assert seen(project, made, 4) is None


def test_a_keyframe_is_seen_as_it_is(project: Project) -> None:
    made = subject(project, "polygon", key(5, TRIANGLE))
    assert seen(project, made, 5) == key(5, TRIANGLE)


def test_after_the_last_keyframe_it_is_held(project: Project) -> None:
    made = subject(project, "polygon", key(5, TRIANGLE))
    assert seen(project, made, 23) == Shape(1, 23, "auto", False, TRIANGLE)


def test_polygons_of_equal_corners_move_in_straight_lines(project: Project) -> None:
    made = subject(project, "polygon", key(0, TRIANGLE), key(10, MOVED))
    assert seen(project, made, 5) == Shape(1, 5, "auto", False, (10.0, 5.0, 20.0, 5.0, 10.0, 15.0))


def test_rectangles_move_in_straight_lines(project: Project) -> None:
    made = subject(project, "rectangle", key(0, (0, 0, 10, 10)), key(4, (4, 8, 14, 18)))
    found = seen(project, made, 1)
    assert found is not None
    assert found.points == (1.0, 2.0, 11.0, 12.0)


def test_polygons_of_other_corners_are_held(project: Project) -> None:
    made = subject(project, "polygon", key(0, TRIANGLE), key(10, (*MOVED, 5.0, 5.0)))
    assert seen(project, made, 9) == Shape(1, 9, "auto", False, TRIANGLE)


def test_masks_are_held(project: Project) -> None:
    made = subject(project, "mask", key(0, MASK), key(10, (0, 4, 6, 6, 7, 7)))
    assert seen(project, made, 9) == Shape(1, 9, "auto", False, MASK)


def test_an_outside_keyframe_ends_a_track_until_the_next(project: Project) -> None:
    shapes = key(0, TRIANGLE), key(5, MOVED, outside=True), key(8, MOVED)
    made = subject(project, "polygon", *shapes)
    there = [frame for frame in range(12) if seen(project, made, frame) is not None]
    assert there == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    held = seen(project, made, 4)
    assert held is not None
    assert held.points == TRIANGLE


def test_shapes_that_stand_alone_are_seen_on_their_frames_only(project: Project) -> None:
    made = subject(project, "polygon", key(0, TRIANGLE), key(2, TRIANGLE), tracked=False)
    assert [frame for frame in range(5) if seen(project, made, frame) is not None] == [0, 2]


@given(
    st.integers(0, 20),
    st.integers(1, 20),
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1, max_size=8),
    st.data(),
)
def test_between_two_keyframes_lies_between_them(
    start: int, length: int, corners: list[tuple[float, float]], data: st.DataObject
) -> None:
    first = tuple(a for a, _ in corners)
    last = tuple(b for _, b in corners)
    frame = data.draw(st.integers(start, start + length))
    found = between("polygon", key(start, first), key(start + length, last), frame)
    for a, b, c in zip(first, last, found.points, strict=True):
        assert min(a, b) - 1e-6 <= c <= max(a, b) + 1e-6
    assert (found.frame, found.source, found.score) == (frame, "auto", None)
