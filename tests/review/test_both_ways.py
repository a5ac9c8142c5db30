"""Tracking back on a toy network: agreement where tracking is right, none where an object was lost."""

import numpy as np
import pytest

from keepsight.api import VideoTracker
from keepsight.errors import UsageError
from keepsight.review import ReviewQueue, track_back
from keepsight.types import BoolArray
from tests.toy import ToyNetwork, blob_frame, centre

LENGTH = 20
FRAMES = [blob_frame(index) for index in range(LENGTH)]
Masks = dict[tuple[int, int], BoolArray]


def tracker() -> VideoTracker:
    return VideoTracker(FRAMES, model=ToyNetwork())


def tracked(ids: tuple[int, ...]) -> Masks:
    with tracker() as video:
        for i in ids:
            video.prompt(0, i, points=[centre(i, 0)])
        return {(i, result.index): result[i].mask for result in video.propagate() for i in ids}


def agreements(
    masks: Masks, ids: tuple[int, ...], first: int = 0, last: int = LENGTH - 1
) -> dict[int, dict[int, float]]:
    with tracker() as video:
        return track_back(video, lambda i, f: masks.get((i, f)), ids, first=first, last=last)


def test_a_tracker_with_objects_is_refused() -> None:
    with tracker() as video:
        video.prompt(0, 3, points=[centre(3, 0)])
        with pytest.raises(UsageError, match=r"\[3\].*Open another"):
            track_back(video, lambda i, f: None, (1,), first=0, last=5)


def test_a_last_frame_before_the_first_is_refused() -> None:
    with tracker() as video, pytest.raises(UsageError, match="from 4 on, but got 3"):
        track_back(video, lambda i, f: None, (1,), first=4, last=3)


def test_both_ways_agree_where_nothing_was_lost() -> None:
    found = agreements(tracked((1, 2)), (1, 2))
    assert list(found) == [1, 2]
    for values in found.values():
        assert sorted(values) == list(range(LENGTH - 1))
        assert min(values.values()) > 0.7


def test_frames_before_the_first_are_not_tracked() -> None:
    watched: list[int] = []
    masks = tracked((1,))
    with tracker() as video:
        found = track_back(
            video,
            lambda i, f: masks.get((i, f)),
            (1,),
            first=5,
            last=12,
            watch=lambda result: watched.append(result.index),
        )
    assert sorted(found[1]) == list(range(5, 12))
    assert watched == list(range(12, 4, -1))


def test_an_object_that_was_swapped_on_the_way_disagrees_before_that() -> None:
    masks = tracked((1, 2))
    swapped: Masks = {(1, f): masks[1 if f < 10 else 2, f] for f in range(LENGTH)}
    values = agreements(swapped, (1,))[1]
    assert max(values[f] for f in range(10)) < 0.1
    assert min(values[f] for f in range(10, LENGTH - 1)) > 0.7
    queue = ReviewQueue()
    for f in range(LENGTH):
        with_mask = swapped[1, f]
        assert with_mask.any()
    queue.compared(1, values)
    assert queue.trail(1).agreements == values


def test_each_object_begins_where_it_was_seen_last() -> None:
    masks = tracked((1, 2))
    masks |= {(2, f): np.zeros_like(masks[2, f]) for f in range(15, LENGTH)}
    found = agreements(masks, (1, 2))
    assert sorted(found[1]) == list(range(LENGTH - 1))
    assert sorted(found[2]) == list(range(14))


def test_an_object_that_was_never_seen_has_nothing_to_compare() -> None:
    assert agreements({}, (1,)) == {1: {}}
