"""Whether a tracker's own numbers, score and presence, can be believed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from keepsight.evaluation.ranks import rank_correlation, roc_auc

__all__ = ["Confidence"]


@dataclass(frozen=True)
class Confidence:
    """What a tracker claimed and what was true, one entry per tracked frame and object.

    Attributes:
        scores: the predicted IoU, 0..1.
        presences: the predicted probability that the object is there, 0..1.
        overlaps: the true IoU, 0..1.
        visible: whether the object truly is there.
    """

    scores: Sequence[float]
    presences: Sequence[float]
    overlaps: Sequence[float]
    visible: Sequence[bool]

    @classmethod
    def joined(cls, parts: Iterable["Confidence"]) -> "Confidence":
        """All entries of all parts as one."""
        kept = list(parts)
        return cls(*([v for part in kept for v in getattr(part, field.name)] for field in fields(cls)))

    @property
    def score_correlation(self) -> float | None:
        """Spearman's correlation of score and true IoU, where the object is there; None if undefined."""
        there = [i for i, visible in enumerate(self.visible) if visible]
        return rank_correlation([self.scores[i] for i in there], [self.overlaps[i] for i in there])

    @property
    def presence_auc(self) -> float | None:
        """How often a frame with the object has a higher presence than one without; None if all are alike."""
        return roc_auc(self.presences, self.visible)
