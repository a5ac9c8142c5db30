"""What goes wrong on a server: wrong options, nobody there, no leave, failing requests, people at work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from keepsight.apps.cvat.job.labeled import Timeline
from keepsight.apps.cvat.job.mark import is_marked
from keepsight.apps.cvat.job.rest import job_of
from keepsight.errors import FrameIndexError, KeepsightError, PromptError, SourceError, UsageError
from tests.apps.cvat.job.conftest import Track, drawn, drawn_track, plain
from tests.apps.cvat.job.cvat_server import CvatServer, RefusedError


@pytest.mark.parametrize(
    ("start", "targets", "options", "error", "says"),
    [
        (0, [12], {}, FrameIndexError, "--target-frame 12: job 7 has the frames 0 to 9"),
        (11, [], {}, FrameIndexError, "--start-frame 11: job 7 has the frames 0 to 9"),
        (3, [5], {}, FrameIndexError, "--start-frame 3: this frame of job 7 is deleted"),
        (1, [1], {}, UsageError, "before or after frame 1"),
        (1, [4, 6], {}, UsageError, "or one on either side"),
        (9, [], {}, UsageError, "it is the last"),
        (2, [5], {}, KeepsightError, "no rectangle, polygon or mask visible on it"),
        (0, [5], {"label": ["cat"]}, KeepsightError, "--label cat"),
        (0, [5], {"id": ["999"]}, KeepsightError, "--id 999"),
        (0, [5], {"job": 8}, KeepsightError, "the server has none (404)"),
        (0, [5], {"policy": "psychic"}, KeepsightError, "psychic"),
        (0, [5], {"annotations": "a.xml"}, UsageError, "Expected one job"),
        (0, [5], {"job": None}, UsageError, "Expected one job"),
        (5, [6], {}, PromptError, "shape 103 (dog) on frame 5: Expected a polygon of at least three"),
        (6, [7], {}, PromptError, "shape 104 (dog) on frame 6: Expected a rectangle that meets the frame"),
        (7, [8], {}, UsageError, "share" ),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_before_a_frame_is_fetched(
    server: CvatServer, track: Track, start: int, targets: list[int], options: dict[str, Any],
    error: type[KeepsightError], says: str,
) -> None:  # fmt: skip
    server.deleted = (3,)
    server.put(
        shapes=[
            drawn("rectangle", 2),
            drawn("rectangle", 2, 9),
            drawn("polygon", 2, 5, points=[1, 1, 2, 2]),
            drawn("rectangle", 2, 6, points=[90, 10, 99, 20]),
            drawn("mask", 2, 7, group=3),
            drawn("mask", 3, 7, group=3),
        ]
    )
    before = server.read()
    with pytest.raises(error) as caught:
        track(start, *targets, **options)
    assert says in str(caught.value)
    assert (server.read(), server.patches, server.fetched) == (before, [], [])


def test_frames_of_another_size_are_told_before_one_is_fetched(server: CvatServer, track: Track) -> None:
    server.image_task = True
    server.frames[5] = np.zeros((40, 40, 3), np.uint8)
    server.put(shapes=[drawn("rectangle", 2)])
    with pytest.raises(SourceError, match="frame 5 40 x 40"):
        track(0, 7)
    assert server.fetched == []
    track(0, 4)
    assert len(server.read()["tracks"]) == 1


def test_a_job_that_begins_later_counts_as_its_task_does(server: CvatServer, track: Track) -> None:
    server.image_task, server.start = True, 4
    server.put(shapes=[drawn("rectangle", 2, 5)])
    track(5)
    (made,) = server.read()["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [5, 6, 7, 8, 9]
    timeline = Timeline(range(4, 10), 4, 9)
    (read,) = job_of(server.read(), (), timeline, None, "job 7").tracks
    assert [is_marked(k, timeline.position(k.frame)) for k in read.keyframes] == [False] + [True] * 4
    with pytest.raises(FrameIndexError, match="frames 4 to 9"):
        track(3)


@pytest.mark.parametrize(
    ("start", "targets", "job"),
    [(2, [4], 7), (7, [], 8), (6, [9], 8), (5, [2], 7), (6, [0], None), (5, [], None)],
)
def test_of_a_task_the_job_is_taken_that_holds_the_frames(
    server: CvatServer, track: Track, start: int, targets: list[int], job: int | None
) -> None:
    server.jobs = ((7, 0, 5), (8, 5, 9))
    server.put(shapes=[drawn("rectangle", 2, frame) for frame in (2, 5, 6, 7)])
    if job is None:
        with pytest.raises(FrameIndexError, match=r"7 \(frames 0 to 5\), 8 \(frames 5 to 9\)"):
            track(start, *targets, task=42)
        return
    assert track(start, *targets, task=42).job.name == f"job {job}"


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        ({"auth": "ann:wrong"}, {}, "Expected a user and password that the server takes"),
        ({"auth": "ann"}, {"PASS": "wrong"}, "Expected a user and password"),
        ({}, {"CVAT_ACCESS_TOKEN": "old"}, "knows no such user (401). Check CVAT_ACCESS_TOKEN"),
        ({"server_host": "http://127.0.0.1:9"}, {}, "cannot be reached"),
        ({"server_host": "ftp://127.0.0.1"}, {}, "cvat-sdk says: Invalid url schema"),
    ],
)
def test_a_server_that_is_not_there_or_knows_nobody(
    track: Track,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    environment: dict[str, str],
    says: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(KeepsightError) as caught:
        track(0, 5, **options)
    assert says in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_password_in_the_environment_is_taken(
    server: CvatServer, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    monkeypatch.setenv("PASS", "secret")
    server.put(shapes=[drawn("rectangle", 2)])
    track(0, 2, auth="ann")
    assert len(server.read()["tracks"]) == 1


def refuse(method: str, path: str, status: int = 403, times: int = 1) -> Callable[[str, str], None]:
    left = [times]

    def before(asked: str, at: str) -> None:
        if asked == method and at.endswith(path) and left[0]:
            left[0] -= 1
            raise RefusedError(status, "You may not.")

    return before


def test_a_user_who_may_not_write_is_told_and_nothing_is_changed(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("rectangle", 2), drawn("mask", 3)])
    before = server.read()
    server.before = refuse("PATCH", "annotations")
    with pytest.raises(KeepsightError, match=r"may not \(403\).*as it was"):
        track(0, 4)
    assert server.read() == before


@pytest.mark.parametrize("survives", [1, 2])
def test_a_request_that_fails_midway_is_undone(server: CvatServer, track: Track, survives: int) -> None:
    server.put(shapes=[drawn("rectangle", 2), drawn("mask", 3)], tracks=[drawn_track("polygon", 1, 0)])
    before = server.read()
    asked: list[str] = []

    def fail(method: str, path: str) -> None:
        asked.extend(["PATCH"] if method == "PATCH" else [])
        if method == "PATCH" and len(asked) == survives + 1:
            raise RefusedError(500, "The database is gone.")

    server.before = fail
    with pytest.raises(KeepsightError, match=r"answered 500.*taken back: job 7 is as it was"):
        track(0, 4)
    assert plain(server.read()) == plain(before)
    server.before = lambda method, path: None
    track(0, 4)
    assert len(server.read()["tracks"]) == 2


def test_a_server_that_dies_midway_holds_whole_tracks_and_the_message_says_so(
    server: CvatServer, track: Track
) -> None:
    server.put(shapes=[drawn("rectangle", 2)])

    def die(method: str, path: str) -> None:
        if server.patches:
            raise RefusedError(500, "The database is gone.")

    server.before = die
    with pytest.raises(KeepsightError, match="look at job 7 before you run again"):
        track(0, 4)
    (made,) = server.annotations["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2, 3, 4, 5]
    assert len(server.annotations["shapes"]) == 1


@pytest.mark.parametrize("change", ["moved", "gone", "group"])
def test_what_somebody_changed_meanwhile_is_left_alone(server: CvatServer, track: Track, change: str) -> None:
    server.put(shapes=[drawn("mask", 2), drawn("rectangle", 3)])
    expected: list[Any] = []

    def meanwhile(method: str, path: str) -> None:
        if path.endswith("/data") and not expected:
            shapes = server.annotations["shapes"]
            if change == "moved":
                shapes[1]["points"] = [1, 2, 3, 4]
            elif change == "gone":
                del shapes[0]
            else:
                server.put(shapes=[drawn("rectangle", 1, 5, group=1)])
            expected.append(server.read())

    server.before = meanwhile
    with pytest.raises(KeepsightError, match="Nothing was written; run again"):
        track(0, 4)
    assert server.read() == expected[0]
    assert server.patches == []


def test_what_somebody_adds_meanwhile_does_no_harm(server: CvatServer, track: Track) -> None:
    server.put(shapes=[drawn("mask", 2)])
    server.before = lambda method, path: (
        server.put(shapes=[drawn("rectangle", 1, 5)])
        if path.endswith("/data") and len(server.annotations["shapes"]) == 1
        else None
    )
    track(0, 4)
    assert [s["type"] for s in server.read()["shapes"]] == ["mask"] * 5 + ["rectangle"]


def test_a_frame_that_cannot_be_fetched_or_read_stops_the_run(
    server: CvatServer, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(shapes=[drawn("rectangle", 2)])
    before = server.read()
    server.before = refuse("GET", "/data", 404, 99)
    with pytest.raises(KeepsightError, match="frame 0 of job 7"):
        track(0, 4)
    server.before = lambda method, path: None
    monkeypatch.setattr(CvatServer, "picture", lambda self, query: b"no picture")
    with pytest.raises(SourceError, match=r"Frame 0 of job 7: .*cannot be read"):
        track(0, 4)
    assert server.read() == before
