"""Random access on a toy network: going back, correcting, undoing, and the same answers either way."""

from typing import Any

import numpy as np
import pytest

from keepsight.api.archive import StateArchive
from keepsight.api.tracker import VideoTracker
from keepsight.api.tracking import track
from keepsight.errors import (
    FrameIndexError,
    PolicyError,
    PromptError,
    UnknownModelError,
    UnknownObjectError,
    UsageError,
)
from keepsight.session import Session
from keepsight.types import Box, FrameResult, Mask, Points
from tests.toy import ToyNetwork, blob_frame, centre, click, equal, overlap, same

LENGTH = 40
FRAMES = [blob_frame(index) for index in range(LENGTH)]


CHOSEN: dict[str, Any] = {"policy": "sam2"}


@pytest.fixture(autouse=True, params=["sam2", "samurai", "sam2long"])
def _policy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise holds under every policy."""
    monkeypatch.setitem(CHOSEN, "policy", request.param)


def tracker(**options: Any) -> VideoTracker:
    return VideoTracker(FRAMES, model=ToyNetwork(), **CHOSEN, **options)


def all_same(a: list[FrameResult], b: list[FrameResult]) -> bool:
    return [r.index for r in a] == [r.index for r in b] and all(same(x, y) for x, y in zip(a, b, strict=True))


def test_a_file_gives_what_the_same_frames_give_live() -> None:
    prompts = {0: click(1), 5: click(2, 5)}
    offline = list(track(FRAMES, prompts, model=ToyNetwork(), **CHOSEN))
    session = Session(ToyNetwork(), **CHOSEN)
    live = [session.step(frame, prompts.get(index)) for index, frame in enumerate(FRAMES)]
    assert all_same(offline, live)


def test_forward_pass_equals_a_session() -> None:
    session = Session(ToyNetwork(), **CHOSEN)
    live = [session.step(frame, None if index else click(1)) for index, frame in enumerate(FRAMES)]
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        assert all_same(list(video.propagate()), live)


def test_parts_and_backward_slices() -> None:
    back = list(track(FRAMES, click(1, 20), model=ToyNetwork(), **CHOSEN, frames=slice(20, 9, -1)))
    assert [r.index for r in back] == list(range(20, 9, -1))
    assert all(overlap(r, 1) > 0.4 for r in back)
    part = list(track(FRAMES, {7: click(1, 7)}, model=ToyNetwork(), **CHOSEN, frames=slice(None, 12)))
    assert [r.index for r in part] == [7, 8, 9, 10, 11]
    whole = list(track(FRAMES, {7: click(1, 7)}, model=ToyNetwork(), **CHOSEN, frames=slice(None, None, -1)))
    assert [r.index for r in whole] == list(range(7, -1, -1))


def test_stopping_and_going_on_is_as_if_never_stopped() -> None:
    with tracker() as whole, tracker() as parts:
        for video in (whole, parts):
            video.prompt(0, 1, points=[centre(1, 0)])
            video.prompt(0, 2, points=[centre(2, 0)])
        expected = list(whole.propagate())
        got = list(parts.propagate(stop=13))
        for result in parts.propagate(start=13):
            got.append(result)
            if result.index == 20:
                break
        got += list(parts.propagate(start=21))
        assert all_same(got, expected)


def test_going_back_finds_what_was_found_there() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        results = list(video.propagate())
        for frame in (29, 3, 17, 38):
            seen = video.prompt(frame, 2, points=[centre(2, frame)])
            assert list(seen) == [1, 2]
            np.testing.assert_array_equal(seen[1].mask, results[frame][1].mask)


def test_a_correction_holds_in_later_passes_in_both_directions() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        list(video.propagate())
        corrected = video.prompt(20, 1, points=[centre(2, 20)])
        for results in (list(video.propagate(start=15)), list(video.propagate(start=30, reverse=True))):
            at_20 = next(r for r in results if r.index == 20)
            np.testing.assert_array_equal(at_20[1].mask, corrected[1].mask)


def test_a_prompt_between_two_results_counts_from_there_on() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        later: list[FrameResult] = []
        for result in video.propagate():
            if result.index == 10:
                video.prompt(10, 2, points=[centre(2, 10)])
            if result.index > 10:
                later.append(result)
        assert len(later) == LENGTH - 11
        assert all(overlap(r, 2) > 0.4 for r in later)


def test_undo_takes_back_prompts_and_removals_with_all_that_followed() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        expected = list(video.propagate())
        video.prompt(20, 1, points=[centre(3, 20)])
        list(video.propagate())
        video.undo()
        again = video.prompt(20, 2, points=[centre(2, 20)])
        np.testing.assert_array_equal(again[1].mask, expected[20][1].mask)
        video.undo()
        video.remove(1)
        assert list(video.object_ids) == []
        video.undo()
        assert list(video.object_ids) == [1]
        assert all_same(list(video.propagate()), expected)
        video.undo()
        with pytest.raises(UsageError, match="none"):
            video.undo()


def test_what_is_known_on_a_frame_is_shown_without_tracking() -> None:
    with tracker() as video:
        assert video.frame_count == LENGTH
        assert list(video.result(7)) == []
        said = video.prompt(0, 1, points=[centre(1, 0)])
        assert same(video.result(0), said)
        assert list(video.result(7)) == []
        results = list(video.propagate(stop=30))
        for frame in (29, 3, 17):
            assert same(video.result(frame), results[frame])
        assert list(video.result(35)) == []
        with pytest.raises(FrameIndexError, match="99"):
            video.result(99)


def test_a_prompt_taken_back_before_tracking_was_never_given() -> None:
    with tracker() as video, tracker() as other:
        for each in (video, other):
            each.prompt(0, 1, points=[centre(1, 0)])
            each.prompt(12, 2, points=[centre(2, 12)])
        video.prompt(12, 1, points=[centre(3, 12)])
        assert video.prompted_frames(1) == (0, 12)
        assert list(video.unprompt(12, 1)) == [2]
        assert video.prompted_frames(1) == (0,)
        assert all_same(list(video.propagate()), list(other.propagate()))


def test_a_correction_taken_back_shows_what_tracking_finds() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        video.prompt(0, 2, points=[centre(2, 0)])
        before = list(video.propagate())
        wrong = video.prompt(12, 1, points=[centre(3, 12)])
        assert not np.array_equal(wrong[1].mask, before[12][1].mask)
        assert same(video.unprompt(12, 1), before[12])
        assert all_same(list(video.propagate(start=12)), before[12:])
        # The same once tracking has passed over the correction, in either direction.
        ways: list[dict[str, Any]] = [{}, {"start": LENGTH - 1, "reverse": True}]
        for way in ways:
            wrong = video.prompt(12, 1, points=[centre(3, 12)])
            list(video.propagate(**way))
            tracked = video.unprompt(12, 1)
            assert not np.array_equal(wrong[1].mask, tracked[1].mask)
            assert same(video.result(12), tracked)
        assert all_same(list(video.propagate()), before)


def test_an_object_of_which_nothing_is_said_any_more_is_forgotten() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        video.prompt(0, 2, points=[centre(2, 0)])
        results = list(video.propagate())
        assert list(video.unprompt(0, 1)) == [2]
        assert list(video.object_ids) == [2]
        with pytest.raises(UnknownObjectError, match="got 1"):
            video.unprompt(0, 1)
        with pytest.raises(PromptError, match="got 5"):
            video.unprompt(5, 2)
        video.undo()
        assert same(video.result(20), results[20])
        video.reset()
        assert list(video.object_ids) == []
        assert list(video.result(20)) == []
        with pytest.raises(UsageError, match="none"):
            video.undo()
        video.prompt(0, 1, points=[centre(1, 0)])
        video.prompt(0, 2, points=[centre(2, 0)])
        assert all_same(list(video.propagate()), results)


def test_undo_reaches_as_far_as_it_was_asked_to() -> None:
    with tracker(undo_depth=0) as none, tracker(undo_depth=1) as one:
        for video in (none, one):
            video.prompt(0, 1, points=[centre(1, 0)])
            video.prompt(0, 2, points=[centre(2, 0)])
        one.undo()
        assert one.object_ids == (1,)
        for video in (none, one):
            with pytest.raises(UsageError, match="none"):
                video.undo()


def test_an_id_given_again_is_another_object() -> None:
    with tracker() as video:
        video.prompt(0, 1, points=[centre(1, 0)])
        list(video.propagate())
        video.remove(1)
        video.prompt(16, 1, points=[centre(2, 16)])
        results = list(video.propagate(start=16))
        assert all(overlap(r, 1) < 0.1 for r in results)
        assert np.array_equal(results[3][1].mask, video.prompt(19, 2, points=[centre(2, 19)])[1].mask)


def test_passes_over_one_another_in_both_directions() -> None:
    with tracker() as video:
        video.prompt(20, 1, points=[centre(1, 20)])
        list(video.propagate())
        list(video.propagate(start=30, stop=12, reverse=True))
        for frame in (33, 31, 25, 14):
            assert overlap(video.prompt(frame, 2, points=[centre(2, frame)]), 1) > 0.4


def test_states_are_few_and_go_to_disk_past_a_bound() -> None:
    session = Session(ToyNetwork(), **CHOSEN)
    session.step(FRAMES[0], click(1))
    first = session.snapshot()
    archive = StateArchive(resident_bytes=1)
    archive.put(first, pinned=True)
    for index in range(1, 2000):
        session.step(FRAMES[index % LENGTH])
        archive.put(session.snapshot(), pinned=False)
    kept = [frame for frame in range(2000) if frame in archive]
    assert 30 < len(kept) < 70
    assert kept[0] == 0
    restored = archive.get(kept[10])
    assert restored.index == kept[10]
    session.restore(archive.get(0))
    after_disk = session.step(FRAMES[1])
    session.restore(first)
    assert same(after_disk, session.step(FRAMES[1]))


def test_passes_of_one_frame_keep_as_few_states_as_one_pass() -> None:
    with tracker() as video, tracker() as other:
        for each in (video, other):
            each.prompt(0, 1, points=[centre(1, 0)])
        expected = list(video.propagate())
        found = [next(iter(other.propagate(index, index + 1))) for index in range(LENGTH)]
        assert all_same(found, expected)
        kept, wanted = ([f in each._book.archive for f in range(LENGTH)] for each in (other, video))
        assert sum(kept) <= sum(wanted) + 1
        backward = [next(iter(other.propagate(i, i - 1, reverse=True))) for i in range(LENGTH - 1, -1, -1)]
        assert all_same(backward, list(video.propagate(LENGTH - 1, reverse=True)))


def test_an_object_that_joins_later_was_not_there_when_earlier_frames_are_found_anew() -> None:
    with tracker() as video, tracker() as alone:
        video.prompt(0, 1, points=[centre(1, 0)])
        for index in range(1, 9):  # passes of one frame, begun beside the prompted one
            next(iter(video.propagate(index, index + 1)))
        for each in (video, alone):
            each.prompt(6, 2, points=[centre(2, 6)])
        bank = video._state_before(7, reverse=False).tracks[2].after.bank
        assert [entry.frame for entry in bank.recent] == []
        together, apart = (list(each.propagate(6, 12)) for each in (video, alone))
        for mine, wanted in zip(together, apart, strict=True):
            assert equal(mine[2], wanted[2])


def test_the_network_s_own_answers_are_those_that_results_are_made_from() -> None:
    with tracker(keep_logits=True) as video:
        video.prompt(3, 1, points=[centre(1, 3)])
        assert set(video.answers(3)) == {1}
        assert video.answers(4) == {}
        for result in video.propagate(3, 6):
            answer = video.answers(result.index)[1]
            assert answer.logits.shape == (1, 16, 16)
            assert (answer.presence > 0) == (result[1].presence > 0.5)
            assert answer.frame == result.index


def test_bad_calls_are_refused_before_work_starts() -> None:
    with tracker() as video:
        with pytest.raises(UsageError, match="prompt first"):
            video.propagate()
        with pytest.raises(FrameIndexError, match="99"):
            video.prompt(99, 1, points=[(1, 1)])
        with pytest.raises(PromptError, match="mask alone"):
            video.prompt(0, 1, points=[(1, 1)], mask=np.ones((48, 80)))
        with pytest.raises(PromptError, match="none of them"):
            video.prompt(0, 1)
        with pytest.raises(UnknownObjectError, match="got 5"):
            video.remove(5)
        assert video.object_ids == ()
    good = {1: Points([(12, 8)])}
    cases: list[tuple[Any, slice, type[Exception], str]] = [
        ({}, slice(None), PromptError, "at least one prompt"),
        ({99: good}, slice(None), FrameIndexError, "frames 0 to 39.*99"),
        ({3: good}, slice(5, None), PromptError, "frame 3 lies outside"),
        ({1: Box(0, 0, 3, 3), 2: good}, slice(None), PromptError, "both mixed"),
        (good, slice(None, None, -1), PromptError, "which frame"),
        (good, slice(0, 10, 2), UsageError, "steps other than 1"),
        ({0: {1: Mask(np.ones((3, 4)))}}, slice(None), PromptError, "80x48"),
    ]
    for prompts, frames, error, message in cases:
        with pytest.raises(error, match=message):
            track(FRAMES, prompts, model=ToyNetwork(), **CHOSEN, frames=frames)


@pytest.mark.parametrize("start", [track, VideoTracker])
def test_an_unknown_policy_is_told_before_anything_is_opened_or_loaded(start: Any) -> None:
    arguments = ("missing.mp4", {0: click(1)}) if start is track else ("missing.mp4",)
    with pytest.raises(PolicyError, match="sam9"):
        start(*arguments, model="missing.safetensors", policy="sam9")


def test_a_model_that_cannot_be_loaded_leaves_no_file_open() -> None:
    with pytest.raises(UnknownModelError):  # an open file left behind would warn, and warnings are errors
        VideoTracker(FRAMES, model="pockett", **CHOSEN)
