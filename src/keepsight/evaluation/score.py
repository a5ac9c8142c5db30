"""Scores: what a tracked object came to, frame by frame, and the benchmark's figures of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keepsight.evaluation.box_metrics import (
    box_ious,
    centre_errors,
    normalised_centre_errors,
    normalised_precision,
    precision_at,
    success_auc,
    success_rate,
)
from keepsight.evaluation.confidence import Confidence
from keepsight.evaluation.contour import contour_accuracy
from keepsight.evaluation.packed_mask import PackedMask
from keepsight.evaluation.region import region_iou
from keepsight.evaluation.sequence import BoxSequence, MaskSequence
from keepsight.evaluation.statistics import statistics_of

__all__ = ["BoxScore", "Found", "MaskScore", "mean_figures", "score_boxes", "score_masks"]

EMPTY = (0.0, 0.0, 0.0, 0.0)


class Found(NamedTuple):
    """What a tracker says of one object on one frame, in little memory.

    Attributes:
        mask: its mask; None where only its box is scored.
        box: the mask's tight box (x1, y1, x2, y2) in pixels, or None if it is empty.
        score: predicted IoU, 0..1.
        presence: probability that it is there, 0..1.
    """

    mask: PackedMask | None
    box: tuple[float, float, float, float] | None
    score: float
    presence: float


@dataclass(frozen=True)
class MaskScore:
    """One object's masks against the truth.

    Attributes:
        region: J of every scored frame: all but the first and the last.
        contour: F of the same frames.
        confidence: of all tracked frames: all but the first, where the object was given.
    """

    region: Sequence[float]
    contour: Sequence[float]
    confidence: Confidence

    @property
    def figures(self) -> dict[str, float]:
        """DAVIS' figures by name: J&F, and of both J and F mean, recall and decay."""
        j, f = statistics_of(self.region), statistics_of(self.contour)
        return {
            "J&F": (j.mean + f.mean) / 2,
            "J": j.mean,
            "J recall": j.recall,
            "J decay": j.decay,
            "F": f.mean,
            "F recall": f.recall,
            "F decay": f.decay,
        }


@dataclass(frozen=True)
class BoxScore:
    """One object's boxes against the truth, on the frames where the truth has it.

    Attributes:
        overlaps: IoU; the first frame counts with the box it was given, as in the OTB and LaSOT toolkits.
        errors: distances of centres in pixels; None where nothing was found.
        normalised_errors: the same in units of the true box's sides.
        bounded_overlaps: IoU of boxes clipped to the image, without the first frame, as GOT-10k scores.
        confidence: of all tracked frames, those without the object included.
    """

    overlaps: Sequence[float]
    errors: Sequence[float | None]
    normalised_errors: Sequence[float | None]
    bounded_overlaps: Sequence[float]
    confidence: Confidence

    @property
    def figures(self) -> dict[str, float]:
        """OTB's and LaSOT's AUC, P (20 px) and Pnorm; GOT-10k's AO, SR0.5 and SR0.75."""
        bounded = np.asarray(self.bounded_overlaps, dtype=np.float64)
        return {
            "AUC": success_auc(self.overlaps),
            "P": precision_at(_distances(self.errors)),
            "Pnorm": normalised_precision(_distances(self.normalised_errors)),
            "AO": float(bounded.mean()) if len(bounded) else float("nan"),
            "SR0.5": success_rate(bounded, 0.5),
            "SR0.75": success_rate(bounded, 0.75),
        }


def mean_figures(scores: Sequence[MaskScore | BoxScore]) -> dict[str, float]:
    """Figures of a whole benchmark.

    DAVIS takes the mean over objects, of all sequences alike; OTB and LaSOT the mean over sequences; GOT-10k
    (AO and SR) pools the frames of all sequences.

    Returns:
        By name, as in `figures`; empty for no scores. NaN of single objects is left out.
    """
    rows = [score.figures for score in scores]
    means = {name: _mean([row[name] for row in rows]) for name in (rows[0] if rows else {})}
    pooled = [v for score in scores if isinstance(score, BoxScore) for v in score.bounded_overlaps]
    if pooled:
        means |= {
            "AO": float(np.mean(pooled)),
            "SR0.5": success_rate(pooled, 0.5),
            "SR0.75": success_rate(pooled, 0.75),
        }
    return means


def score_masks(sequence: MaskSequence, found: Sequence[Mapping[int, Found]]) -> dict[int, MaskScore]:
    """Scores tracked masks the DAVIS way; the truth is read one frame at a time.

    Args:
        sequence: the ground truth.
        found: per frame, by object id; an object that is missing counts as an empty mask.

    Returns:
        By object id.

    Raises:
        AnnotationError: a mask of the truth cannot be read.
    """
    rows: dict[int, list[tuple[float, float, Found, bool]]] = {i: [] for i in sequence.object_ids}
    last = len(sequence.frames) - 1
    for index in range(1, len(sequence.frames)):
        for i, truth in sequence.masks(index).items():
            ours = found[index].get(i, Found(None, None, 0.0, 0.0))
            mask = np.zeros_like(truth) if ours.mask is None else ours.mask.unpacked()
            contour = contour_accuracy(mask, truth) if index < last else float("nan")
            rows[i].append((region_iou(mask, truth), contour, ours, bool(truth.any())))
    return {
        i: MaskScore(
            [region for region, _, _, _ in row[:-1]],
            [contour for _, contour, _, _ in row[:-1]],
            _confidence((ours, region, there) for region, _, ours, there in row),
        )
        for i, row in rows.items()
    }


def score_boxes(sequence: BoxSequence, found: Sequence[Found]) -> BoxScore:
    """Scores tracked boxes; frames on which the truth has no object are left out.

    LaSOT's own toolkit leaves them out too; some later ones count them as misses, so their figures are lower.

    Args:
        sequence: the ground truth.
        found: per frame.

    Raises:
        AnnotationError: the truth cannot be read.
        SourceError: the first frame cannot be read.
    """
    truth, visible = sequence.boxes, sequence.visible
    boxes = np.array([EMPTY if f.box is None else f.box for f in found], dtype=np.float64)
    boxes[0] = truth[0]
    overlaps = box_ious(boxes, truth)
    tracked = np.flatnonzero(visible[1:]) + 1
    width, height = sequence.size
    bounds = np.array([width, height, width, height], dtype=np.float64)
    bounded = box_ious(boxes[tracked].clip(0, bounds), truth[tracked].clip(0, bounds))
    return BoxScore(
        overlaps[visible].tolist(),
        [_finite(e) for e in centre_errors(boxes[visible], truth[visible])],
        [_finite(e) for e in normalised_centre_errors(boxes[visible], truth[visible])],
        bounded.tolist(),
        _confidence(zip(found[1:], overlaps[1:].tolist(), visible[1:].tolist(), strict=True)),
    )


def _confidence(entries: Iterable[tuple[Found, float, bool]]) -> Confidence:
    kept = list(entries)
    return Confidence(
        [ours.score for ours, _, _ in kept],
        [ours.presence for ours, _, _ in kept],
        [overlap for _, overlap, _ in kept],
        [there for _, _, there in kept],
    )


def _finite(error: float) -> float | None:
    return float(error) if np.isfinite(error) else None


def _distances(errors: Sequence[float | None]) -> list[float]:
    return [float("inf") if error is None else error for error in errors]


def _mean(values: Sequence[float]) -> float:
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else float("nan")
