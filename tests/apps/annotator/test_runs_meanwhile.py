"""Runs, and what a person does ahead of them or while they are left unfinished."""

from pathlib import Path
from typing import Any

import pytest

from keepsight.apps.annotator.errors import BusyError
from keepsight.apps.annotator.studio import Studio
from tests.apps.annotator.rooms import (
    Stepping,
    clicked,
    contents,
    finished,
    opened_studio,
    spec_of,
    track,
    wait_for,
)
from tests.toy import centre


def sources(studio: Studio, number: int) -> dict[int, str]:
    return {shape.frame: shape.source for shape in studio.project.shapes(number=number)}


def begun(studio: Studio, toy: Stepping, number: int, frame: int, target: int) -> Any:
    """A run that has written a frame or more, and waits before it has written five."""
    toy.hold()
    running = studio.begin_run(spec_of((number,), frame, target))
    toy.go(4)  # it encodes the frames that it is told of first
    wait_for(lambda: running.progress.done >= 1)
    return running


@pytest.mark.parametrize("kind", ["mask", "polygon"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_hand_edit_deleted_ahead_of_a_run(stepped: Studio, toy: Stepping, kind: Any, keep: bool) -> None:
    number = clicked(stepped, kind)
    stepped.prompt(number, 8, [centre(1, 8)], [1], None)
    before = contents(stepped.project)
    running = begun(stepped, toy, number, 0, 12)
    stepped.erase(number, 8)
    if keep:
        toy.release()
    else:
        while running.progress.frame_now < 9:  # how many frames are encoded twice is the tracker's affair
            toy.go()
            wait_for(lambda: toy.waiting or running.progress.frame_now >= 9)
        stepped.runs.cancel(keep=False)
        toy.release()
    finished(stepped)
    after = contents(stepped.project)
    tracked = dict.fromkeys({*range(1, 13)} - {8}, "auto") if keep else {}
    assert sources(stepped, number) == {0: "prompted", **tracked}
    assert stepped.undo().name == "delete shape"
    assert sources(stepped, number) == {0: "prompted", 8: "prompted", **tracked}
    if keep:
        assert stepped.undo().name == "tracking"
        assert contents(stepped.project) == before
        stepped.redo()
    assert sources(stepped, number) == {0: "prompted", 8: "prompted", **tracked}
    stepped.redo()
    assert contents(stepped.project) == after


def test_a_tracked_shape_deleted_ahead_of_a_run_stays_deleted(stepped: Studio, toy: Stepping) -> None:
    number = clicked(stepped)
    track(stepped, (number,), 0, 12)
    before = contents(stepped.project)
    begun(stepped, toy, number, 0, 12)
    stepped.erase(number, 8)
    toy.release()
    finished(stepped)
    assert 8 not in sources(stepped, number)
    stepped.undo()
    stepped.undo()
    assert contents(stepped.project) == before


def test_a_hand_edit_deleted_before_a_run_goes_on(folder: Path, toy: Stepping) -> None:
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio)
        studio.prompt(number, 8, [centre(1, 8)], [1], None)
        before = contents(studio.project)
        begun(studio, toy, number, 0, 12)
        studio.worker._closing = True
        toy.release()
    with opened_studio(folder) as studio:
        studio.erase(number, 8)
        studio.runs.resume()
        finished(studio)
        after = contents(studio.project)
        assert sources(studio, number) == {0: "prompted", **dict.fromkeys({*range(1, 13)} - {8}, "auto")}
        assert [studio.undo().name, studio.undo().name] == ["delete shape", "tracking"]
        assert contents(studio.project) == before
        studio.redo()
        studio.redo()
        assert contents(studio.project) == after


def test_however_much_is_done_during_a_run_its_step_is_kept(
    stepped: Studio, toy: Stepping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepsight.apps.annotator.project.history.DEPTH", 3)
    number = clicked(stepped)
    shape = stepped.project.shapes()[0]
    running = begun(stepped, toy, number, 0, 12)
    for frame in range(15, 21):
        stepped.draw(number, frame, shape.points)
    toy.release()
    finished(stepped)
    assert running.run.state == "done"
    undone = [stepped.undo().name for _ in range(7)]
    assert undone == ["draw mask"] * 6 + ["tracking"]
    assert sources(stepped, number) == {0: "prompted"}


def test_in_a_video_that_shrank_a_run_waits_until_it_is_whole_again(folder: Path, toy: Stepping) -> None:
    with opened_studio(folder, network=toy) as studio:
        number = clicked(studio, frame=14)
        begun(studio, toy, number, 14, 22)
        studio.worker._closing = True
        toy.release()
    with opened_studio(folder, frames=10) as studio:
        before = contents(studio.project)
        with pytest.raises(BusyError, match="at least 23 frames to go on with the run, but it has 10 now"):
            studio.runs.resume()
        assert studio.runs.current is None
        assert contents(studio.project) == before
        left = studio.project.unfinished()
        assert left is not None
        assert left.state == "interrupted"
    with opened_studio(folder) as studio:
        studio.runs.resume()
        finished(studio)
        assert sources(studio, number) == {14: "prompted", **dict.fromkeys(range(15, 23), "auto")}
