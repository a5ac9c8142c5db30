"""Which frames a run goes through."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.annotator.passes import Pass, checked, passes_of, remaining, require_whole
from keepsight.apps.annotator.project import Run
from keepsight.errors import UsageError
from tests.apps.annotator.rooms import refusal, spec_of


def frames_of(each: Pass) -> list[int]:
    step = -1 if each.reverse else 1
    return list(range(each.origin + step, each.last + step, step))


def walk(passes: list[Pass]) -> list[int]:
    return [frame for each in passes for frame in frames_of(each)]


@pytest.mark.parametrize(
    ("frame", "target", "direction", "expected"),
    [
        (3, 6, "forward", [4, 5, 6]),
        (3, 0, "backward", [2, 1, 0]),
        (3, 5, "both", [4, 5, 2, 1]),
        (3, 1, "both", [4, 5, 2, 1]),
        (1, 9, "both", [2, 3, 4, 5, 6, 7, 8, 9, 0]),
        (9, 0, "both", [8, 7, 6, 5, 4, 3, 2, 1, 0]),
    ],
)
def test_the_frames_of_a_run(frame: int, target: int, direction: Any, expected: list[int]) -> None:
    assert walk(passes_of(spec_of((1,), frame, target, direction), 10)) == expected


@pytest.mark.parametrize(
    ("frame", "target", "direction", "sentence"),
    [
        (10, 11, "forward", "Expected a start from 0 to 9, but got 10"),
        (-1, 3, "forward", "Expected a start from 0 to 9, but got -1"),
        (0, 10, "forward", "Expected a target frame from 0 to 9, but got 10"),
        (3, 3, "forward", "Expected a target frame after frame 3 to track forward, but got 3"),
        (3, 2, "forward", "Expected a target frame after frame 3"),
        (3, 3, "backward", "Expected a target frame before frame 3 to track backward, but got 3"),
        (3, 4, "backward", "Expected a target frame before frame 3"),
        (3, 3, "both", "Expected a target frame other than frame 3, but got 3"),
    ],
)
def test_a_wrong_target_is_told(frame: int, target: int, direction: Any, sentence: str) -> None:
    with pytest.raises(UsageError):
        checked(spec_of((1,), frame, target, direction), 10)
    assert sentence in refusal(lambda: checked(spec_of((1,), frame, target, direction), 10))


@given(st.integers(2, 30), st.sampled_from(["forward", "backward", "both"]), st.data())
def test_cut_off_anywhere_the_rest_is_what_was_not_done(frames: int, direction: Any, data: Any) -> None:
    frame, target = data.draw(st.lists(st.integers(0, frames - 1), min_size=2, max_size=2, unique=True))
    if direction != "both":
        frame, target = sorted((frame, target), reverse=direction == "backward")
    passes = passes_of(checked(spec_of((1,), frame, target, direction), frames), frames)
    all_frames = walk(passes)
    assert len(all_frames) == len(set(all_frames))
    assert frame not in all_frames
    assert target in all_frames
    done = data.draw(st.integers(0, len(all_frames)))
    reached = all_frames[done - 1] if done else None
    assert walk(remaining(passes, reached)) == all_frames[done:]


@pytest.mark.parametrize(
    ("frame", "target", "direction", "reached", "needed"),
    [
        (14, 22, "forward", 16, 23),
        (3, 12, "forward", 5, 13),
        (14, 0, "backward", 5, 15),
        (8, 4, "both", 11, 12),
        (8, 4, "both", None, 9),
    ],
)
def test_in_a_shorter_video_a_run_is_not_gone_on_with(
    frame: int, target: int, direction: Any, reached: int | None, needed: int
) -> None:
    run = Run(1, spec_of((1,), frame, target, direction), "interrupted", reached)
    require_whole(run, needed)
    told = refusal(lambda: require_whole(run, needed - 1))
    assert f"at least {needed} frames to go on with the run, but it has {needed - 1} now" in told


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_in_a_shorter_video_no_walk_turns_round(direction: Any) -> None:
    forward, *back = passes_of(spec_of((1,), 14, 22, direction), 10)
    assert forward == Pass(14, 22)
    assert back == ([Pass(14, 6)] if direction == "both" else [])
