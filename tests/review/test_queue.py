"""The ranking: what is worse is not later, what was told is not asked again, and nothing breaks on little."""

import json
import time
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.errors import UnknownObjectError, UsageError
from keepsight.review import LEAST_RISK, Observation, ReviewQueue, Stretch
from keepsight.types import FrameResult
from tests.review.trails import found, queue_of, result, seen

BAD: dict[str, Any] = {"score": 0.6}
POOR: dict[str, Any] = {"score": 0.8}
GONE: dict[str, Any] = {"visible": False, "presence": 0.01}
CALM = cache(seen)  # so that hundreds of examples draw each frame once
SCORES = st.lists(st.floats(0.3, 1), min_size=1, max_size=30)


def queue_with(scores: list[float], told: set[int]) -> ReviewQueue:
    queue = ReviewQueue()
    for frame in told:
        queue.corrected(1, frame)
    for frame, score in enumerate(scores):
        queue.add(1, replace(CALM(frame), score=score))
    return queue


def every(queue: ReviewQueue, least_risk: float = LEAST_RISK) -> set[int]:
    return {f for s in queue.stretches(least_risk=least_risk) for f in range(s.start, s.stop)}


@pytest.mark.parametrize("ask", ["stretches", "risks", "trail"])
def test_an_object_that_was_never_seen_is_refused(ask: str) -> None:
    with pytest.raises(UnknownObjectError, match=r"one of \[1\], but got 7"):
        getattr(queue_of(3), ask)(7)


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="-1"):
        queue_of(3).stretches(limit=-1)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"keepsight_review": 1},
        {"keepsight_review": 2, "objects": []},
        {"keepsight_review": 1, "objects": [{"observations": [], "told": [], "agreements": []}]},
        {"keepsight_review": 1, "objects": [{"object": 1}]},
        None,
    ],
)
def test_what_is_no_review_is_refused(entry: Any) -> None:
    with pytest.raises(UsageError, match=r"observe (it|them)"):
        ReviewQueue.from_json(entry)


def test_an_empty_queue_has_nothing_to_say() -> None:
    assert ReviewQueue().stretches() == []
    assert ReviewQueue().object_ids == ()


def test_a_calm_clip_needs_no_review() -> None:
    assert queue_of(50).stretches() == []
    assert set(queue_of(50).risks(1).values()) == {0.0}


def test_an_object_that_was_told_but_never_seen_has_nothing_to_review() -> None:
    queue = ReviewQueue()
    queue.corrected(4, 0)
    assert queue.stretches(4) == []
    assert queue.risks(4) == {}


def test_a_bad_stretch_is_found_with_its_limits_and_its_reason() -> None:
    odd = {frame: BAD for frame in range(20, 31)}
    (stretch,) = queue_of(50, odd).stretches()
    assert (stretch.object_id, stretch.start, stretch.stop) == (1, 20, 31)
    assert 23 <= stretch.frame <= 27
    assert 0.5 < stretch.risk < 1
    assert stretch.reasons == ("low score",)


def test_a_single_frame_can_be_a_stretch() -> None:
    queue = ReviewQueue()
    queue.observe(result(5, score=0.6))
    assert [(s.start, s.stop, s.frame) for s in queue.stretches()] == [(5, 6, 5)]


def test_a_worse_and_a_longer_stretch_come_first() -> None:
    worse = queue_of(60, {**dict.fromkeys(range(10, 15), POOR), **dict.fromkeys(range(40, 45), BAD)})
    assert [s.start for s in worse.stretches()] == [40, 10]
    longer = queue_of(60, {**dict.fromkeys(range(12, 15), BAD), **dict.fromkeys(range(40, 50), BAD)})
    assert [s.start for s in longer.stretches()] == [40, 12]


def test_an_object_that_is_lost_is_found_where_it_went() -> None:
    (first, *_) = queue_of(60, dict.fromkeys(range(30, 60), GONE)).stretches()
    assert 28 <= first.frame <= 36
    assert "comes or goes" in first.reasons


def test_frames_apart_are_stretches_apart() -> None:
    queue = ReviewQueue()
    for frame in (10, 11, 14, 15):
        queue.observe(result(frame, **BAD))
    assert sorted((s.start, s.stop) for s in queue.stretches()) == [(10, 12), (14, 16)]


def test_a_corrected_frame_is_no_longer_suspect_and_the_rest_is_ranked_anew() -> None:
    queue = queue_of(80, {**dict.fromkeys(range(20, 31), BAD), **dict.fromkeys(range(60, 68), BAD)})
    first, second = queue.stretches()
    queue.corrected(1, first.frame)
    again = queue.stretches()
    assert first.frame not in every(queue)
    assert (again[0].start, again[0].stop) == (second.start, second.stop)
    assert queue.risks(1)[first.frame] == 0
    queue.uncorrected(1, first.frame)
    assert queue.stretches() == [first, second]


def test_what_is_tracked_anew_replaces_what_was_seen() -> None:
    queue = queue_of(50, dict.fromkeys(range(20, 31), BAD))
    queue.corrected(1, 25)
    for frame in range(50):
        queue.observe(result(frame))
    assert queue.stretches() == []


def test_results_may_come_in_any_order() -> None:
    odd = {frame: BAD for frame in range(20, 31)}
    backward = ReviewQueue()
    for frame in reversed(range(50)):
        backward.observe(result(frame, **odd.get(frame, {})))
    backward.corrected(1, 0)
    assert backward.stretches() == queue_of(50, odd).stretches()


@settings(deadline=None)
@given(st.lists(st.floats(0.3, 1), min_size=2, max_size=30))
def test_a_clip_tracked_back_is_ranked_as_one_turned_round(scores: list[float]) -> None:
    end = len(scores) - 1
    forward, back = queue_with(scores, {0}).stretches(), queue_with(scores[::-1], {end}).stretches()
    turned = {(end + 1 - s.stop, end + 1 - s.start, end - s.frame) for s in back}
    worths = [round(s.worth, 9) for s in forward]
    assert worths == [round(s.worth, 9) for s in back]
    if len(set(worths)) == len(worths):
        assert {(s.start, s.stop, s.frame) for s in forward} == turned


def test_the_frame_to_correct_is_early_in_the_direction_of_tracking() -> None:
    odd = dict.fromkeys(range(20, 41), BAD)
    forward = queue_of(60, odd)
    back = queue_of(60, odd)
    back.uncorrected(1, 0)
    back.corrected(1, 59)
    (early,), (late,) = forward.stretches(), back.stretches()
    assert 20 <= early.frame < 30 < late.frame <= 40


def test_objects_are_ranked_together_and_alone() -> None:
    queue = ReviewQueue()
    for frame in range(40):
        picture = result(frame).image
        objects = {
            2: found(frame, score=0.8 if 10 <= frame < 16 else 0.95),
            5: found(frame, score=0.5 if 20 <= frame < 26 else 0.95),
        }
        queue.observe(FrameResult(frame, None, picture, objects))
    assert [s.object_id for s in queue.stretches()] == [5, 2]
    assert [s.object_id for s in queue.stretches(2)] == [2]
    assert [s.object_id for s in queue.stretches(limit=1)] == [5]
    assert queue.stretches(limit=0) == []
    queue.forget(5)
    assert [s.object_id for s in queue.stretches()] == [2]
    assert queue.object_ids == (2,)


def test_ways_that_part_are_suspected_until_they_are_tracked_anew() -> None:
    queue = queue_of(40)
    queue.compared(1, {frame: 0.2 if 10 <= frame < 20 else 0.97 for frame in range(39)})
    (stretch,) = queue.stretches()
    assert (stretch.start, stretch.stop, stretch.reasons) == (10, 20, ("ways disagree",))
    for frame in range(40):
        queue.observe(result(frame, score=0.94))
    assert queue.stretches() == []


@settings(deadline=None)
@given(SCORES, st.sets(st.integers(0, 29)))
def test_stretches_are_apart_cover_what_is_suspect_and_are_in_order(
    scores: list[float], told: set[int]
) -> None:
    queue = queue_with(scores, told)
    stretches = queue.stretches()
    frames = [f for s in stretches for f in range(s.start, s.stop)]
    assert len(frames) == len(set(frames))
    assert not {*frames} & told
    assert [s.worth for s in stretches] == sorted((s.worth for s in stretches), reverse=True)
    assert all(s.start <= s.frame < s.stop and s.reasons and 0 <= s.risk <= 1 for s in stretches)
    suspect = {f for f, risk in queue.risks(1).items() if risk >= LEAST_RISK}
    assert suspect <= set(frames)


@settings(deadline=None)
@given(SCORES, st.sets(st.integers(0, 29), max_size=3), st.data())
def test_a_lower_score_never_makes_a_clip_worth_less(
    scores: list[float], told: set[int], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(scores) - 1))
    lower = scores.copy()
    lower[at] -= data.draw(st.floats(0, 0.3))
    before, after = (queue_with(row, told).stretches(limit=1, least_risk=0.0) for row in (scores, lower))
    assert [s.worth for s in after] >= [s.worth - 1e-9 for s in before]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.4, 0.75), st.floats(0.4, 0.75), st.integers(0, 7), st.floats(0, 0.3))
def test_a_stretch_that_gets_worse_is_not_ranked_lower(
    one: float, other: float, at: int, less: float
) -> None:
    """Two stretches far apart; one frame of the second gets a lower score."""

    def place(lowered: float) -> int:
        scores = [0.95] * 300
        scores[40:48], scores[240:248] = [one] * 8, [other] * 8
        scores[240 + at] -= lowered
        first, second, *_ = queue_with(scores, {0}).stretches()
        starts = [first.start, second.start]
        return next(n for n, start in enumerate(starts) if start >= 240)

    assert place(less) <= place(0)


@settings(deadline=None)
@given(SCORES, st.sets(st.integers(0, 29)))
def test_a_queue_comes_back_from_json_as_it_was(scores: list[float], told: set[int]) -> None:
    queue = queue_with(scores, told)
    queue.compared(1, {3: 0.5})
    again = ReviewQueue.from_json(json.loads(json.dumps(queue.to_json())))
    assert again.to_json() == queue.to_json()
    assert again.stretches() == queue.stretches()


def test_any_stretch_is_given_when_everything_counts() -> None:
    assert every(queue_of(30), least_risk=0.0) == set(range(1, 30))


def test_a_long_clip_is_ranked_at_once() -> None:
    random = np.random.default_rng(0)
    queue = ReviewQueue()
    for frame, score in enumerate(random.uniform(0.4, 1, 2000)):
        queue.add(1, replace(seen(frame, x=frame % 150), score=float(score)))
    began = time.process_time()
    stretches = queue.stretches()
    assert stretches
    # Half a second on the machine it was written on; a person waits for it.
    assert time.process_time() - began < 5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5000))
def test_a_frame_may_have_any_number(frame: int) -> None:
    queue = ReviewQueue()
    queue.add(1, Observation(frame, 0.5, 1.0, True, 4, (0.0, 0.0, 2.0, 2.0), bytes([255] * 32)))
    (only,) = queue.stretches()
    assert isinstance(only, Stretch)
    assert (only.start, only.stop, only.frame) == (frame, frame + 1, frame)
