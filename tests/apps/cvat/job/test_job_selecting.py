"""What is visible on a frame, and which of it is meant."""

from collections.abc import Sequence
from typing import Any

import pytest

from keepsight.apps.cvat.job.labeled import Job, Timeline
from keepsight.apps.cvat.job.rest import job_of, labels_of
from keepsight.apps.cvat.job.selecting import Wanted, select
from keepsight.apps.cvat.job.visible import seen
from keepsight.errors import KeepsightError, UnknownObjectError, UsageError
from tests.apps.cvat.job.conftest import box, drawn, drawn_track
from tests.apps.cvat.job.cvat_server import LABELS


def job(shapes: list[Any] | None = None, tracks: list[Any] | None = None) -> Job:
    document = {"tags": [], "shapes": shapes or [], "tracks": tracks or []}
    for sort in ("shapes", "tracks"):
        for number, item in enumerate(document[sort], 1):
            item.setdefault("id", number)
    return job_of(document, labels_of(LABELS, "labels"), Timeline(range(10), 0, 9), (80, 48), "job 7")


def two(kind: str, first: Sequence[float], second: Sequence[float], **other: float) -> Job:
    keyframes = [drawn(kind, 1, 0, points=first), drawn(kind, 1, 8, points=second, **other)]
    return job(tracks=[drawn_track(kind, 1, 0) | {"shapes": keyframes}])


def test_rectangles_move_in_a_line_and_turn_the_shorter_way() -> None:
    (track,) = two("rectangle", [0, 0, 10, 10], [8, 16, 26, 34], rotation=340.0).tracks
    shown = seen(track, 2)
    assert shown is not None
    assert not shown.keyframe
    assert shown.figure.frame == 2
    assert shown.figure.points == pytest.approx((2, 4, 14, 16))
    assert shown.figure.rotation == pytest.approx(355)  # a quarter of the way from 0 to -20
    after = seen(track, 9)
    assert after is not None
    assert after.figure.points == (8, 16, 26, 34)


def test_polygons_move_point_by_point_where_cvat_matches_them_so() -> None:
    square, moved = [0, 0, 10, 0, 10, 10, 0, 10], [8, 0, 28, 0, 28, 20, 8, 20]
    (track,) = two("polygon", square, moved).tracks
    shown = seen(track, 4)
    assert shown is not None
    assert shown.note == ""
    assert shown.figure.points == pytest.approx((4, 0, 19, 0, 19, 15, 4, 15))


@pytest.mark.parametrize(
    "later", [[8, 0, 28, 0, 28, 20], [0, 0, 1, 0, 2, 0, 10, 10]], ids=["fewer points", "other lengths"]
)
def test_other_polygons_stay_as_they_were_and_it_is_said(later: list[float]) -> None:
    square = [0, 0, 10, 0, 10, 10, 0, 10]
    chosen = select(two("polygon", square, later), 4, Wanted())
    (subject,) = chosen.subjects
    assert list(subject.start.points) == square
    assert "frames 0 and 8" in chosen.notes[0]
    assert "frame 0 was taken" in chosen.notes[0]


def test_a_track_is_visible_from_its_start_to_its_end_and_again() -> None:
    (track,) = job(tracks=[drawn_track("rectangle", 1, 2, 7, outside=(5,))]).tracks
    assert [frame for frame in range(10) if seen(track, frame)] == [2, 3, 4, 7, 8, 9]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), ["track 1 (car)", "shape 1 (dog)", "shape 2 (car)"]),
        (Wanted(labels=["car"]), ["track 1 (car)", "shape 2 (car)"]),
        (Wanted(labels=["3"]), ["track 1 (car)", "shape 2 (car)"]),
        (Wanted(labels=["dog", "car"]), ["track 1 (car)", "shape 1 (dog)", "shape 2 (car)"]),
        (Wanted(ids=["2"]), ["shape 2 (car)"]),
        (Wanted(ids=["track:1", "track:1"]), ["track 1 (car)"]),
        (Wanted(labels=["dog"], ids=["shape:1", "2"]), ["shape 1 (dog)"]),
    ],
)
def test_all_by_label_or_by_number(wanted: Wanted, names: list[str]) -> None:
    shapes = [drawn("polygon", 2), drawn("mask", 3, label_id=3), drawn("mask", 3, 4)]
    found = select(job(shapes, [drawn_track("rectangle", 1, 0)]), 0, wanted)
    assert [subject.name for subject in found.subjects] == names
    assert found.notes == ()


@pytest.mark.parametrize(
    ("frame", "wanted", "error", "says"),
    [
        (0, Wanted(labels=["cat"]), UnknownObjectError, "--label cat: expected one of the labels of job 7"),
        (0, Wanted(ids=["9"]), UnknownObjectError, "none of this number. Objects on frame 0: track 1 (car)"),
        (0, Wanted(ids=["2"]), UnknownObjectError, "shape 2 (dog) is not visible on frame 0"),
        (0, Wanted(ids=["1"]), UsageError, "shape:1 or track:1"),
        (0, Wanted(ids=["one"]), UsageError, "--id one: expected a number"),
        (0, Wanted(ids=["tag:1"]), UsageError, "shape:NUMBER or track:NUMBER"),
        (0, Wanted(ids=["3"]), UsageError, "shape 3 (dog) is a ellipse; rectangles, polygons and masks"),
        (6, Wanted(), UnknownObjectError, "no rectangle, polygon or mask visible on it. The first frames"),
        (0, Wanted(labels=["car"], ids=["shape:1"]), UnknownObjectError, "of this label visible"),
    ],
)
def test_wrong_choices_are_told(frame: int, wanted: Wanted, error: type[KeepsightError], says: str) -> None:
    shapes = [drawn("polygon", 2), drawn("polygon", 2, 3), drawn("polygon", 2, type="ellipse")]
    tracks = [drawn_track("rectangle", 1, 0, outside=(5,))]
    with pytest.raises(error) as caught:
        select(job(shapes, tracks), frame, wanted)
    assert says in str(caught.value)


def test_kinds_that_cannot_be_tracked_are_passed_over_with_a_note() -> None:
    kinds = ("polyline", "points", "ellipse", "cuboid", "skeleton")
    shapes = [drawn("polygon", 2, type=kind) for kind in kinds]
    found = select(job([*shapes, drawn("mask", 3)]), 0, Wanted())
    assert [subject.name for subject in found.subjects] == ["shape 6 (dog)"]
    assert [kind in note for kind, note in zip(kinds, found.notes, strict=True)] == [True] * 5
    with pytest.raises(UnknownObjectError, match="skeleton"):
        select(job(shapes), 0, Wanted())


def test_an_empty_job_says_what_to_do() -> None:
    with pytest.raises(UnknownObjectError, match="Draw one first"):
        select(job(), 0, Wanted())


def test_what_lies_between_keyframes_is_where_it_is_seen() -> None:
    (subject,) = select(job(tracks=[drawn_track("rectangle", 1, 0, 4)]), 2, Wanted()).subjects
    middle = [(a + b) / 2 for a, b in zip(box(1, 0), box(1, 4), strict=True)]
    assert subject.start.points == pytest.approx(middle)
    assert not subject.keyframe
