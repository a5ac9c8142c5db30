"""Tracking back from where tracking forward ended: where the two part, one of them is wrong."""

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from keepsight.errors import UsageError
from keepsight.evaluation import region_iou
from keepsight.types import BoolArray, FrameResult

__all__ = ["BackTracker", "track_back"]

MaskOf = Callable[[int, int], BoolArray | None]
"""An object's mask on a frame as tracking forward found it, by object id and frame; None where unknown."""


class BackTracker(Protocol):
    """What is asked of a tracker; `keepsight.VideoTracker` does it."""

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects prompted so far."""

    def prompt(self, frame: int, object_id: int, *, mask: BoolArray) -> FrameResult:
        """Says which object is meant."""

    def propagate(
        self, start: int | None = None, stop: int | None = None, reverse: bool = False
    ) -> Iterator[FrameResult]:
        """Tracks all objects and yields one result per frame."""


def track_back(
    tracker: BackTracker,
    forward: MaskOf,
    object_ids: Collection[int],
    *,
    first: int,
    last: int,
    watch: Callable[[FrameResult], None] = lambda result: None,
) -> dict[int, dict[int, float]]:
    """Tracks objects back from the last mask that tracking forward found, told of nothing else.

    It takes as long as tracking forward did. What is right both ways agrees; where the object was lost, or
    something else taken along, the ways part, from there to one of the ends.

    Args:
        tracker: over the same video, with no object in it; its objects are left in it.
        forward: an object's mask on a frame.
        object_ids: the objects to compare.
        first: the first frame to compare.
        last: the last frame that was tracked forward.
        watch: called after each frame, for progress.

    Returns:
        By object id and frame, IoU of the two masks, 0..1, without the frame that tracking back began at;
        1 where both say that the object is absent. Objects that were never seen have no entries. Made for
        `ReviewQueue.compared`.

    Raises:
        UsageError: the tracker has objects already, or `last` lies before `first`.
    """
    if tracker.object_ids:
        raise UsageError(
            f"Expected a tracker without objects to track back with, but got one with "
            f"{list(tracker.object_ids)}. Open another one over the same video."
        )
    if last < first:
        raise UsageError(f"Expected a last frame from {first} on, but got {last}.")
    starts = _starts(forward, object_ids, first, last)
    agreements: dict[int, dict[int, float]] = {object_id: {} for object_id in object_ids}
    if not starts:
        return agreements
    for object_id, (frame, mask) in starts.items():
        tracker.prompt(frame, object_id, mask=mask)
    stop = first - 1 if first else None
    for result in tracker.propagate(max(frame for frame, _ in starts.values()), stop, reverse=True):
        for object_id, (frame, _) in starts.items():
            there = forward(object_id, result.index) if result.index < frame else None
            if there is not None:
                agreements[object_id][result.index] = region_iou(result[object_id].mask, there)
        watch(result)
    return agreements


def _starts(
    forward: MaskOf, object_ids: Collection[int], first: int, last: int
) -> dict[int, tuple[int, BoolArray]]:
    """Where each object was seen last, and its mask there."""
    starts = {}
    for object_id in object_ids:
        for frame in range(last, first - 1, -1):
            mask = forward(object_id, frame)
            if mask is not None and mask.any():
                starts[object_id] = frame, mask
                break
    return starts
