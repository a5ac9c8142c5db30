"""The review queue of a project, and tracking both ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from keepsight.apps.annotator.project import KINDS, Shape
from keepsight.apps.annotator.reviewing import Review, covered, observed
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import UsageError
from keepsight.review import Observation
from keepsight.shapes import cvat_rle, figure_to_mask
from keepsight.types import ObjectResult
from tests.apps.annotator.desks import client_of, error_of
from tests.apps.annotator.rooms import (
    SIZE,
    Stepping,
    clicked,
    finished,
    opened_studio,
    spec_of,
    square,
    track,
    wait_for,
    write_clip,
)
from tests.toy import blob_frame, centre

HIDDEN = dict.fromkeys((6, 7, 8), (1,))


@pytest.fixture
def hiding(tmp_path: Path) -> Iterator[Studio]:
    """A clip on three frames of which square 1 is not there."""
    with opened_studio(write_clip(tmp_path / "hiding", hidden=HIDDEN)) as studio:
        yield studio


def anew(studio: Studio) -> Review:
    return Review(studio.project, studio.clip.frames)


def known(review: Review, number: int) -> tuple[dict[int, Observation], set[int]]:
    """What the queue has of an object."""
    review.stretches()
    assert review._queue is not None
    trail = review._queue.trail(number)
    return dict(trail.observations), set(trail.told)


def test_without_anything_tracked_there_is_nothing_to_look_at(studio: Studio) -> None:
    assert studio.review.stretches() == []
    clicked(studio)
    assert studio.review.stretches() == []


@pytest.mark.parametrize("tracked", [True, False])
def test_where_an_object_is_lost_is_where_to_look(hiding: Studio, tracked: bool) -> None:
    number = clicked(hiding, "polygon", tracked=tracked)
    track(hiding, (number,), 0, 15)
    (first, *_) = hiding.review.stretches()
    assert first.object_id == number
    assert first.start <= 8
    assert first.stop > 6
    assert {"absent", "comes or goes"} & set(first.reasons)
    observations, told = known(hiding.review, number)
    assert told == {0}
    assert {frame for frame, seen in observations.items() if not seen.visible} == {6, 7, 8}
    assert sorted(observations) == list(range(16))


def test_a_correction_is_known_and_so_is_its_taking_back(hiding: Studio) -> None:
    number = clicked(hiding, "rectangle")
    track(hiding, (number,), 0, 15)
    worst = hiding.review.stretches()[0].frame
    hiding.draw(number, worst, (5, 5, 20, 20))
    assert worst not in [stretch.frame for stretch in hiding.review.stretches()]
    assert known(hiding.review, number)[1] == {0, worst}
    hiding.undo()
    assert hiding.review.stretches()[0].frame == worst
    assert known(hiding.review, number)[1] == {0}


def test_step_by_step_it_knows_what_it_would_know_made_anew(hiding: Studio) -> None:
    """Whatever is done, what was noted on the way is what the project holds."""

    def check(*numbers: int) -> None:
        fresh = anew(hiding)
        assert hiding.review.stretches() == fresh.stretches()
        for number in numbers:
            assert known(hiding.review, number) == known(fresh, number)

    first = clicked(hiding, "polygon", tracked=False)
    track(hiding, (first,), 0, 12)
    check(first)
    second = clicked(hiding, "mask", 2, 4)
    track(hiding, (first, second), 4, 8, "both")
    check(first, second)
    hiding.erase(first, 3)
    check(first, second)
    hiding.change_subject(first, {"kind": "mask"})
    check(first, second)
    hiding.draw(first, 7, tuple(cvat_rle.encode(figure_to_mask("rectangle", (1, 1, 9, 9), *SIZE))))
    check(first, second)
    for _ in range(4):
        hiding.undo()
        check(first, second)
    hiding.redo()
    check(first, second)
    hiding.drop_subject(first)
    check(second)


def test_frames_that_were_tracked_through(stepped_project: Studio) -> None:
    studio, number = stepped_project, 1
    assert covered(studio.project, number, 24) == set()
    track(studio, (number,), 4, 7)
    assert covered(studio.project, number, 24) == {5, 6, 7}
    track(studio, (number,), 4, 2, "both")
    assert covered(studio.project, number, 24) == {2, 3, 5, 6, 7}
    studio.undo()
    assert covered(studio.project, number, 24) == {5, 6, 7}
    studio.undo()
    assert covered(studio.project, number, 24) == set()


@pytest.fixture
def stepped_project(studio: Studio) -> Studio:
    clicked(studio, frame=4)
    return studio


def test_during_a_run_it_is_not_ranked_all_the_time(studio: Studio) -> None:
    number = clicked(studio)
    before = studio.review.stretches()
    track(studio, (number,), 0, 3)
    queue = studio.review._queue
    assert queue is not None
    assert studio.review.stretches(running=True) == before
    assert sorted(queue.trail(number).observations) == [0]
    studio.review.stretches()
    assert sorted(queue.trail(number).observations) == [0, 1, 2, 3]


@given(st.sampled_from(KINDS), st.tuples(*[st.integers(0, 120)] * 4), st.floats(0, 1))
def test_a_shape_is_observed_as_its_mask_in_the_whole_frame(
    kind: Any, corners: tuple[int, int, int, int], score: float
) -> None:
    """The frame of 100 x 100 pixels; what reaches beyond is not seen."""
    x, y, width, height = corners[0] - 60, corners[1] - 60, corners[2], corners[3]
    box = (float(x), float(y), x + width + 1.0, y + height + 1.0)
    mask = np.zeros((100, 100), np.bool_)
    mask[max(0, y) : max(0, y + height + 1), max(0, x) : max(0, x + width + 1)] = True
    if not mask.any():
        kind = "rectangle" if kind == "mask" else kind
    points: tuple[float, ...] = box
    if kind == "polygon":
        points = (box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3])
    elif kind == "mask":
        points = tuple(cvat_rle.encode(mask))
    seen = observed(kind, Shape(1, 3, "auto", False, points, score, 1.0), 100, 100)
    if mask.any():
        assert seen == Observation.of(3, ObjectResult(mask, round(score, 6), 1.0, True))
    else:
        assert (seen.visible, seen.area, seen.box) == (False, 0, None)


@pytest.mark.parametrize(
    ("outside", "points"),
    [
        (True, (0, 0, 5, 0, 5, 5)),
        (False, (-20, 10, 10, -20, -20, -20)),  # passes a corner of the frame by
        (False, (0, 0, 5, 5, 9, 9)),
    ],
)
def test_what_is_not_there_is_observed_as_absent(outside: bool, points: tuple[float, ...]) -> None:
    seen = observed("polygon", Shape(1, 3, "auto", outside, points, 0.4, 0.2), *SIZE)
    assert (seen.visible, seen.area, seen.box) == (False, 0, None)


def test_however_far_a_shape_reaches_no_more_than_the_frame_is_painted(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[tuple[int, int]] = []

    def watched(kind: str, points: Any, height: int, width: int) -> Any:
        painted.append((height, width))
        return figure_to_mask(kind, points, height, width)

    monkeypatch.setattr("keepsight.apps.annotator.reviewing.figure_to_mask", watched)
    for kind, points in (("polygon", (0, 0, 2e4, 0, 2e4, 2e4, 0, 2e4)), ("rectangle", (-9e6, 5, 1e6, 1e6))):
        subject, _ = studio.add_subject(kind)  # type: ignore[arg-type]
        studio.draw(subject.id, 0, points)
    assert studio.review.stretches() == []
    assert painted == [SIZE, (SIZE[0] - 5, SIZE[1])]


@pytest.mark.parametrize("kind", ["mask", "polygon"])
def test_of_a_video_that_shrank_only_the_frames_that_are_there_are_looked_at(folder: Path, kind: Any) -> None:
    for frame in range(4, 24):
        Image.fromarray(blob_frame(frame, (1,) if frame in (7, 14) else ())).save(folder / f"{frame:05d}.png")
    with opened_studio(folder) as studio:
        number = clicked(studio, kind)
        track(studio, (number,), 0, 20)
        assert max(stretch.stop for stretch in studio.review.stretches()) > 10
    for frame in range(10, 24):
        (folder / f"{frame:05d}.png").unlink()
    with opened_studio(folder, frames=10) as studio:
        found = studio.review.stretches()
        assert found
        assert max(stretch.stop for stretch in found) <= 10
        assert set(known(studio.review, number)[0]) == set(range(10))
        assert covered(studio.project, number, 10) == set(range(1, 10))
        (event,) = both_ways(studio, number)
        assert (event["state"], event["error"]) == ("done", None)
        assert max(agreed(studio, number)) < 10


def test_an_object_that_is_only_on_frames_that_are_gone_cannot_be_tracked_back(folder: Path) -> None:
    with opened_studio(folder) as studio:
        number = clicked(studio, frame=14)
        track(studio, (number,), 14, 20)
    with opened_studio(folder, frames=10) as studio:
        with pytest.raises(UsageError, match="tracked frames, but it has none"):
            studio.comparing.begin(number, "sam2")
        assert studio.review.stretches() == []


def agreed(studio: Studio, number: int) -> dict[int, float]:
    studio.review.stretches()
    assert studio.review._queue is not None
    return dict(studio.review._queue.trail(number).agreements)


def both_ways(studio: Studio, number: int) -> list[dict[str, Any]]:
    """Tracks an object back; the events."""
    events: list[dict[str, Any]] = []
    stop = studio.listen(events.append)
    studio.comparing.begin(number, "sam2")
    wait_for(lambda: any(event["type"] == "review" for event in events))
    stop()
    return [event for event in events if event["type"] == "review"]


@pytest.mark.parametrize("kind", KINDS)
def test_tracked_both_ways_good_frames_agree(folder: Path, kind: Any) -> None:
    with opened_studio(folder) as studio:
        number = clicked(studio, kind)
        track(studio, (number,), 0, 10)
        (event,) = both_ways(studio, number)
        assert (event["object"], event["state"], event["error"]) == (number, "done", None)
        found = agreed(studio, number)
        assert sorted(found) == list(range(1, 10))
        assert min(found.values()) > 0.4
        studio.draw(number, 5, studio.project.shapes(4, 5)[0].points)
        assert sorted(agreed(studio, number)) == [1, 2, 3, 4, 6, 7, 8, 9]
    with opened_studio(folder) as studio:  # kept
        again = agreed(studio, number)
        assert again == {frame: value for frame, value in found.items() if frame != 5}


def test_tracked_both_ways_what_was_wrong_disagrees(studio: Studio) -> None:
    number = clicked(studio)
    track(studio, (number,), 0, 10)
    wrong = tuple(cvat_rle.encode(figure_to_mask("rectangle", square(3, 4), *SIZE)))
    with studio.project.change("wrong") as write:
        write.put_shape(Shape(number, 4, "auto", False, wrong, 0.9, 1.0))
    both_ways(studio, number)
    assert agreed(studio, number)[4] < 0.1
    assert studio.review.stretches()[0].frame == 4
    assert "ways disagree" in studio.review.stretches()[0].reasons


def test_while_it_is_tracked_back_clicks_are_answered_and_runs_wait(folder: Path) -> None:
    toy = Stepping()
    with opened_studio(folder, network=toy) as studio, client_of(studio) as client:
        number = clicked(studio)
        track(studio, (number,), 0, 10)
        toy.hold()
        assert client.post("/api/review/both-ways", json={"object": number}).status_code == 200
        busy = "Tracking back for the review is going on"
        assert busy in error_of(client.post("/api/review/both-ways", json={"object": number}), 409)
        run = {"objects": [number], "frame": 0, "target": 5}
        assert busy in error_of(client.post("/api/run", json=run), 409)
        toy.free = True
        toy.go(1)
        shape, _, _ = studio.prompt(number, 20, [centre(1, 20)], [1], None)
        assert shape.frame == 20
        wait_for(lambda: not studio.worker.busy)


def test_tracking_back_can_be_called_off(folder: Path) -> None:
    toy = Stepping()
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio)
        track(studio, (number,), 0, 20)
        toy.hold()
        events: list[dict[str, Any]] = []
        studio.listen(events.append)
        studio.comparing.begin(number, "sam2")
        toy.go(3)
        studio.runs.cancel(keep=False)
        toy.release()
        wait_for(lambda: any(event["type"] == "review" for event in events))
        assert events[-1]["state"] == "cancelled"
        assert agreed(studio, number) == {}
        assert len(studio.project.shapes()) == 21
        studio.begin_run(spec_of((number,), 0, 3))
        finished(studio)


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio) as client:
        yield client


def test_over_http(client: TestClient, studio: Studio) -> None:
    number = clicked(studio)
    assert "tracked frames, but it has none" in error_of(
        client.post("/api/review/both-ways", json={"object": number}), 400
    )
    assert "no object 9" in error_of(client.post("/api/review/both-ways", json={"object": 9}), 404)
    track(studio, (number,), 0, 10)
    studio.draw(number, 5, tuple(cvat_rle.encode(figure_to_mask("rectangle", (0, 0, 4, 4), *SIZE))))
    found = client.get("/api/review", params={"object": number}).json()["stretches"]
    for stretch in found:
        assert stretch.keys() == {"object", "start", "stop", "frame", "risk", "reasons"}
        assert stretch["start"] <= stretch["frame"] < stretch["stop"]
    assert client.get("/api/review").json()["stretches"] == found
