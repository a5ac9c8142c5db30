"""Cues that a mask is wrong, each a function from an object's observations to suspicion per frame, 0..1.

Jumps are measured against what is usual for the object: how far a frame stands out above the median of all
its changes, in units of their median absolute deviation, so that neither a lively object nor a few wild
frames shift the yardstick. All numbers below were set by hand on clips that nothing is trained on, and hold
for every object and model alike.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keepsight.memory.kalman import Motion, box_overlaps, expected_boxes, initiate, predict, update
from keepsight.review.observations import FloatArray, Series
from keepsight.types import BoolArray

__all__ = [
    "CUES",
    "Cue",
    "absence",
    "area_jump",
    "disagreement",
    "low_presence",
    "low_score",
    "motion_jump",
    "presence_flip",
    "risks",
    "shape_jump",
]

GOOD_SCORE, BAD_SCORE = 0.95, 0.5  # predicted IoU at which nothing, and everything, seems wrong
USUAL = 0.75  # the quantile of presence that is taken for usual
PRESENCE_RANGE = 8.0  # logits below it at which everything seems wrong
SURE_ABSENT = 1e-7
CALM, WILD = 4.0, 10.0  # deviations above the median at which a jump begins to count, and counts in full
DEVIATION = 1.4826  # median absolute deviations to standard deviations, of normal noise
LINGERING = 0.8  # what is left of a jump's suspicion one frame later, as what broke stays broken
SEEN_BEFORE_MOTION = 8  # boxes until a filter, begun at rest, has learnt a speed


class Cue(NamedTuple):
    """A reason to look at a frame.

    Attributes:
        name: a short word for people.
        suspicion: of every frame, (N,) 0..1.
        weight: 0..1, the risk that a suspicion of 1 alone stands for.
    """

    name: str
    suspicion: Callable[[Series], FloatArray]
    weight: float


def low_score(series: Series) -> FloatArray:
    """How far the predicted IoU lies below a good one, where there is a mask.

    Args:
        series: one object's observations.
    """
    doubt = (GOOD_SCORE - series.scores) / (GOOD_SCORE - BAD_SCORE)
    return np.where(series.visible, np.clip(doubt, 0.0, 1.0), 0.0)


def low_presence(series: Series) -> FloatArray:
    """How far the presence logit lies below what is usual for the object, where there is a mask.

    Args:
        series: one object's observations.
    """
    counts = series.visible & ~series.is_told
    if not counts.any():
        return np.zeros(len(series.frames))
    sure = np.clip(series.presences, SURE_ABSENT, 1 - SURE_ABSENT)
    logits = np.log(sure / (1 - sure))
    usual = np.quantile(logits[counts], USUAL)
    return np.where(counts, np.clip((usual - logits) / PRESENCE_RANGE, 0.0, 1.0), 0.0)


def presence_flip(series: Series) -> FloatArray:
    """Frames on which the object comes or goes, and those just after.

    Args:
        series: one object's observations.
    """
    flips = np.zeros(len(series.frames))
    changed = np.flatnonzero(series.adjoining & _changes(series.visible))
    flips[changed] = 1.0
    flips[changed - 1] = 1.0
    return lingering(flips, series.tracked_back)


def absence(series: Series) -> FloatArray:
    """Frames without the object: it may have been lost.

    Args:
        series: one object's observations.
    """
    return np.where(series.visible, 0.0, 1.0)


def area_jump(series: Series) -> FloatArray:
    """Growth or shrinkage of the mask from one frame to the next that is unusual for the object.

    Args:
        series: one object's observations.
    """
    both = _seen_twice(series)
    change = np.zeros(len(series.frames))
    sizes = np.log(np.maximum(series.areas, 1.0))
    change[1:] = np.abs(np.diff(sizes))
    return lingering(standing_out(change, both, floor=0.02), series.tracked_back)


def shape_jump(series: Series) -> FloatArray:
    """Change of the outline within its box, 1 - IoU of silhouettes, that is unusual for the object.

    Args:
        series: one object's observations.
    """
    both = _seen_twice(series)
    change = np.zeros(len(series.frames))
    shared = (series.silhouettes[1:] & series.silhouettes[:-1]).sum(axis=1)
    either = (series.silhouettes[1:] | series.silhouettes[:-1]).sum(axis=1)
    change[1:] = 1 - shared / np.maximum(either, 1)
    return lingering(standing_out(change, both, floor=0.02), series.tracked_back)


def motion_jump(series: Series) -> FloatArray:
    """Distance of the box from where a Kalman filter expects it, 1 - IoU, that is unusual for the object.

    The filter is begun anew where frames are missing and where the object was away.

    Args:
        series: one object's observations.
    """
    surprise = np.zeros(len(series.frames))
    counts = np.zeros(len(series.frames), np.bool_)
    motion: Motion | None = None
    seen = 0
    for i, (joined, box) in enumerate(zip(_seen_twice(series), series.boxes, strict=True)):
        if not joined or motion is None:
            motion, seen = (initiate(box), 1) if box.any() else (None, 0)
            continue
        motion = predict(motion)
        surprise[i] = 1 - float(box_overlaps(expected_boxes(motion), box))
        counts[i] = seen >= SEEN_BEFORE_MOTION
        motion, seen = update(motion, box), seen + 1
    return lingering(standing_out(surprise, counts, floor=0.02), series.tracked_back)


def disagreement(series: Series) -> FloatArray:
    """What tracking forward and tracking back do not share, 1 - IoU; 0 where it is not known.

    Args:
        series: one object's observations.
    """
    return np.where(np.isnan(series.agreements), 0.0, 1 - np.nan_to_num(series.agreements))


CUES = (
    Cue("low score", low_score, 0.9),
    Cue("low presence", low_presence, 0.8),
    Cue("comes or goes", presence_flip, 0.4),
    Cue("absent", absence, 0.3),
    Cue("size jumps", area_jump, 0.3),
    Cue("shape jumps", shape_jump, 0.3),
    Cue("motion jumps", motion_jump, 0.3),
    Cue("ways disagree", disagreement, 0.9),
)


def risks(series: Series, cues: tuple[Cue, ...] = CUES) -> FloatArray:
    """Each cue's share of the risk, as if it were the only one.

    Args:
        series: one object's observations.
        cues: what to go by.

    Returns:
        (cues, N) 0..1; zero where a person said what is there.
    """
    shares = np.array([cue.weight * cue.suspicion(series) for cue in cues]).reshape(len(cues), -1)
    unsaid: FloatArray = np.where(series.is_told, 0.0, shares)
    return unsaid


def standing_out(changes: FloatArray, counts: BoolArray, *, floor: float) -> FloatArray:
    """How far each change stands out from all that count, 0..1.

    A change of its own never lowers its suspicion: one that stands out lies above the median and its
    deviation above the median deviation, so growing moves neither.

    Args:
        changes: (N,) amounts of change from the frame before.
        counts: (N,) bool; the others get 0.
        floor: least deviation taken for usual, in the unit of the changes.
    """
    known = changes[counts]
    if not len(known):
        return np.zeros(len(changes))
    middle = np.median(known)
    usual = max(DEVIATION * float(np.median(np.abs(known - middle))), floor)
    excess = ((changes - middle) / usual - CALM) / (WILD - CALM)
    suspicion: FloatArray = np.where(counts, np.clip(excess, 0.0, 1.0), 0.0)
    return suspicion


def lingering(suspicion: FloatArray, tracked_back: BoolArray) -> FloatArray:
    """Suspicion that fades over the frames that were tracked next.

    Args:
        suspicion: (N,) 0..1.
        tracked_back: (N,) bool, the frames whose next one is the one before.
    """
    faded: FloatArray = suspicion.copy()
    turn = int(np.count_nonzero(tracked_back))
    for i in range(turn + 1, len(faded)):
        faded[i] = max(faded[i], LINGERING * faded[i - 1])
    for i in range(turn - 2, -1, -1):
        faded[i] = max(faded[i], LINGERING * faded[i + 1])
    return faded


def _changes(values: BoolArray) -> BoolArray:
    changed = np.zeros(len(values), np.bool_)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _seen_twice(series: Series) -> BoolArray:
    """Whether there is a mask on this frame and on the one before."""
    seen: BoolArray = series.areas > 0
    both = series.adjoining & seen
    both[1:] &= seen[:-1]
    return both
