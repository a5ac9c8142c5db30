"""Rank statistics: whether one number goes up with another, and whether it tells two classes apart."""

import numpy as np
import numpy.typing as npt

__all__ = ["rank_correlation", "roc_auc"]

Numbers = npt.NDArray[np.float64]


def rank_correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.

    Args:
        a: (N,) numbers.
        b: (N,) numbers.

    Returns:
        -1..1, or None where it is not defined: fewer than two pairs, or one side constant.
    """
    x, y = (_centred(_ranks(np.asarray(side, dtype=np.float64))) for side in (a, b))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0 else None


def roc_auc(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: how often a positive scores above a negative; equal scores count half.

    Args:
        scores: (N,) numbers.
        positive: (N,) bool.

    Returns:
        0..1, or None where there are only positives or only negatives.
    """
    is_positive = np.asarray(positive, dtype=np.bool_)
    count = np.count_nonzero(is_positive)
    others = len(is_positive) - count
    if not count or not others:
        return None
    total = float(_ranks(np.asarray(scores, dtype=np.float64))[is_positive].sum())
    return float((total - count * (count + 1) / 2) / (count * others))


def _ranks(values: Numbers) -> Numbers:
    """Ranks from 1; equal values get the mean of the ranks they take up."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    mean: Numbers = last - (sizes - 1) / 2
    return mean[group]


def _centred(values: Numbers) -> Numbers:
    return values - values.mean() if len(values) else values
