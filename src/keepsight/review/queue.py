"""The review queue: where to look next, ranked by what a correction there is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keepsight.errors import UnknownObjectError, UsageError
from keepsight.review.observations import FloatArray, Observation, Series, Trail
from keepsight.review.suspicion import CUES, Cue, risks
from keepsight.types import BoolArray, FrameResult

__all__ = ["LEAST_RISK", "ReviewQueue", "Stretch"]

FORMAT = 1

LEAST_RISK = 0.15
"""The risk below which a frame is not worth a look."""

# Frames over which a correction's effect fades to a third: long where they are tracked from it, short behind.
REACH_AFTER, REACH_BEFORE = 10.0, 3.0
KNEE = 0.5  # a stretch ends where risk falls below this share of that at its frame to correct
TELLING = 0.1  # a cue that stands alone for so much risk is named as a reason


@dataclass(frozen=True)
class Stretch:
    """Frames on which an object's mask is likely wrong.

    Attributes:
        object_id: the object.
        start: the first of them.
        stop: the frame after the last.
        frame: the one to correct: where a correction is worth most.
        risk: of the frame to correct, 0..1.
        worth: what the correction is expected to repair, in frames; what stretches are ranked by.
        reasons: why, in short words, the strongest first.
    """

    object_id: int
    start: int
    stop: int
    frame: int
    risk: float
    worth: float
    reasons: tuple[str, ...]


class ReviewQueue:
    """Watches what is tracked and says which frames a person should look at, the most rewarding first.

    It keeps numbers only, and forgets nothing but what is seen again: feed it results as they come, in any
    order and direction, and tell it of every prompt.

    Args:
        cues: what to go by.

    Example:
        queue = ReviewQueue()
        queue.corrected(1, frame=0)
        for result in tracker.propagate():
            queue.observe(result)
        worst = queue.stretches(limit=1)
    """

    def __init__(self, cues: tuple[Cue, ...] = CUES) -> None:
        self._cues = cues
        self._trails: dict[int, Trail] = {}
        self._ranked: dict[int, tuple[Series, FloatArray]] = {}  # of trails that have not changed since

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects seen or told of so far, in the order in which they came."""
        return tuple(self._trails)

    def observe(self, result: FrameResult) -> None:
        """Takes note of a tracked frame; what was seen there before is replaced.

        Args:
            result: any frame's, from tracking in either direction.
        """
        for object_id, found in result.items():
            self.add(object_id, Observation.of(result.index, found))

    def add(self, object_id: int, observation: Observation) -> None:
        """Takes note of one object on one frame, as `observe` does of all.

        Args:
            object_id: the object.
            observation: for example one that was kept elsewhere.
        """
        self._changed(object_id).add(observation)

    def corrected(self, object_id: int, frame: int) -> None:
        """A person said what is there: the frame is right from now on, and its neighbours are safer.

        Args:
            object_id: the object; it need not have been seen yet.
            frame: where it was prompted or corrected.
        """
        self._changed(object_id).told.add(frame)

    def uncorrected(self, object_id: int, frame: int) -> None:
        """What a person said was taken back; harmless if nothing was said.

        Args:
            object_id: the object.
            frame: where it had been prompted or corrected.
        """
        if object_id in self._trails:
            self._changed(object_id).told.discard(frame)

    def compared(self, object_id: int, agreements: Mapping[int, float]) -> None:
        """Takes note of how far tracking forward and back agree; see `track_back`.

        Args:
            object_id: the object.
            agreements: by frame, IoU of the two masks, 0..1. They hold until a frame is observed again.
        """
        self._changed(object_id).agreements.update(agreements)

    def forget(self, object_id: int) -> None:
        """An object was removed; harmless if it is not known."""
        self._trails.pop(object_id, None)
        self._ranked.pop(object_id, None)

    def trail(self, object_id: int) -> Trail:
        """All that is known of an object; not to be changed.

        Raises:
            UnknownObjectError: nothing was seen or said of it.
        """
        if object_id not in self._trails:
            raise UnknownObjectError(
                f"Expected an object that was observed, one of {sorted(self._trails)}, but got {object_id!r}."
            )
        return self._trails[object_id]

    def risks(self, object_id: int) -> dict[int, float]:
        """How likely each frame's mask is wrong, 0..1, in the order of frames.

        Args:
            object_id: the object.

        Raises:
            UnknownObjectError: nothing was seen or said of it.
        """
        series, shares = self._shares(object_id)
        return dict(zip(series.frames.tolist(), _joined(shares).tolist(), strict=True))

    def stretches(
        self, object_id: int | None = None, *, limit: int | None = None, least_risk: float = LEAST_RISK
    ) -> list[Stretch]:
        """What to look at, the most rewarding first.

        Args:
            object_id: of this object only; of all when omitted.
            limit: at most so many.
            least_risk: leave out what is less likely wrong, 0..1.

        Raises:
            UnknownObjectError: nothing was seen or said of the object.
            UsageError: a limit below 0.
        """
        if limit is not None and limit < 0:
            raise UsageError(f"Expected a limit of stretches from 0 on, or None, but got {limit}.")
        ids = self._trails if object_id is None else (object_id,)
        found = [stretch for i in ids for stretch in self._of(i, least_risk)]
        found.sort(key=lambda stretch: (-stretch.worth, stretch.object_id, stretch.frame))
        return found[:limit]

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes back without loss."""
        trails = [{"object": i, **trail.to_json()} for i, trail in self._trails.items()]
        return {"keepsight_review": FORMAT, "objects": trails}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], cues: tuple[Cue, ...] = CUES) -> "ReviewQueue":
        """The queue that `to_json` wrote.

        Args:
            entry: what it wrote.
            cues: what to go by; they are not part of it.

        Raises:
            UsageError: it is none, or another version's.
        """
        queue = cls(cues)
        try:
            version, objects = entry["keepsight_review"], list(entry["objects"])
            queue._trails = {int(row["object"]): Trail.from_json(row) for row in objects}
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"Expected a review as ReviewQueue.to_json writes it, but it cannot be read: {error!r}. "
                f"Track the objects anew and observe them."
            ) from error
        if version != FORMAT:
            raise UsageError(
                f"Expected a review of format {FORMAT}, but got {version!r}. Read it with the keepsight that "
                f"wrote it, or track the objects anew and observe them."
            )
        return queue

    def _changed(self, object_id: int) -> Trail:
        self._ranked.pop(object_id, None)
        return self._trails.setdefault(object_id, Trail())

    def _shares(self, object_id: int) -> tuple[Series, FloatArray]:
        trail = self.trail(object_id)
        if object_id not in self._ranked:
            series = trail.series()
            self._ranked[object_id] = series, risks(series, self._cues)
        return self._ranked[object_id]

    def _of(self, object_id: int, least_risk: float) -> list[Stretch]:
        series, shares = self._shares(object_id)
        risk = _joined(shares)
        worth = _worths(series, risk)
        left = (risk >= least_risk) & ~series.is_told
        found = []
        while left.any():
            best = int(np.argmax(np.where(left, worth, -1.0)))
            first, last = _around(best, left & (risk >= KNEE * risk[best]), series)
            left[first : last + 1] = False
            found.append(
                Stretch(
                    object_id,
                    int(series.frames[first]),
                    int(series.frames[last]) + 1,
                    int(series.frames[best]),
                    float(risk[best]),
                    float(worth[best]),
                    self._reasons(shares[:, best]),
                )
            )
        return found

    def _reasons(self, shares: FloatArray) -> tuple[str, ...]:
        order = [int(i) for i in np.argsort(-shares, kind="stable")]
        return tuple(self._cues[i].name for i in order if shares[i] >= TELLING) or (
            self._cues[order[0]].name,
        )


def _joined(shares: FloatArray) -> FloatArray:
    """The risk by all cues together, as if they erred independently."""
    joined: FloatArray = 1 - np.prod(1 - shares, axis=0)
    return joined


def _worths(series: Series, risk: FloatArray) -> FloatArray:
    """What a correction of each frame is worth: how wrong it is, times how much wrong lies within its reach.

    A frame that is nearly right teaches the tracker nothing new, and one that is wrong alone repairs itself
    only. What is wrong beside a told frame, in spite of it, another one there would not repair either.
    """
    worth = np.zeros(len(risk))
    told = np.array(sorted(series.told), np.float64)
    for part, sign in ((~series.tracked_back, 1), (series.tracked_back, -1)):
        # What was tracked back is the same with the clip turned round.
        places = (sign * series.frames[part])[::sign].astype(np.float64)
        left = risk[part][::sign] * _out_of_reach(places, (sign * told)[::sign])
        worth[part] = (left * _reached(places, left))[::sign]
    return worth


def _out_of_reach(places: FloatArray, told: FloatArray) -> FloatArray:
    """How far, 0..1, each frame is out of reach of those told."""
    if not len(told):
        return np.ones(len(places))
    after = np.searchsorted(told, places, side="right")
    since = np.where(after > 0, places - told[after - 1], np.inf)
    until = np.where(after < len(told), told[np.minimum(after, len(told) - 1)] - places, np.inf)
    reached: FloatArray = np.maximum(np.exp(-since / REACH_AFTER), np.exp(-until / REACH_BEFORE))
    return 1 - reached


def _reached(places: FloatArray, risk: FloatArray) -> FloatArray:
    """All risk within reach of each frame; one sweep each way, however long the clip."""
    gaps = np.diff(places)
    after, before = risk.copy(), risk.copy()
    for i in range(len(gaps) - 1, -1, -1):
        after[i] += after[i + 1] * np.exp(-gaps[i] / REACH_AFTER)
    for i, gap in enumerate(gaps):
        before[i + 1] += before[i] * np.exp(-gap / REACH_BEFORE)
    reached: FloatArray = after + before - risk
    return reached


def _around(best: int, holds: BoolArray, series: Series) -> tuple[int, int]:
    """The first and last of the observed frames in one run with `best` on which something holds."""
    joined = series.adjoining
    first = last = best
    while first > 0 and holds[first - 1] and joined[first]:
        first -= 1
    while last + 1 < len(holds) and holds[last + 1] and joined[last + 1]:
        last += 1
    return first, last
