"""How box benchmarks (OTB, LaSOT, TrackingNet, GOT-10k) score boxes."""

import numpy as np
import numpy.typing as npt

__all__ = [
    "ERRORS",
    "NORMALISED_ERRORS",
    "OVERLAPS",
    "box_ious",
    "centre_errors",
    "normalised_centre_errors",
    "normalised_precision",
    "precision_at",
    "success_auc",
    "success_curve",
    "success_rate",
]

Numbers = npt.NDArray[np.float64]

OVERLAPS: Numbers = np.linspace(0, 1, 21)
"""Thresholds of the success curve."""
NORMALISED_ERRORS: Numbers = np.linspace(0, 0.5, 51)
"""Thresholds of the normalised precision curve."""
ERRORS = 20.0
"""The centre error, in pixels, up to which precision counts a frame."""


def box_ious(found: npt.ArrayLike, truth: npt.ArrayLike) -> Numbers:
    """Intersection over union of boxes, pair by pair.

    Args:
        found: (N, 4) x1, y1, x2, y2 in pixels; an empty box (or NaN) overlaps with nothing.
        truth: (N, 4) likewise.

    Returns:
        (N,) 0..1; 0 where either box is empty.
    """
    a, b = _boxes(found), _boxes(truth)
    shared = _area(np.hstack([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])]))
    union = _area(a) + _area(b) - shared
    return np.divide(shared, union, out=np.zeros(len(a)), where=union > 0)


def centre_errors(found: npt.ArrayLike, truth: npt.ArrayLike) -> Numbers:
    """Distances between the centres of boxes, in pixels.

    Args:
        found: (N, 4) x1, y1, x2, y2 in pixels.
        truth: (N, 4) likewise.

    Returns:
        (N,) from 0; infinite where the found box is empty, so that no threshold accepts it.
    """
    return _errors(_boxes(found), _boxes(truth), np.ones((1, 2)))


def normalised_centre_errors(found: npt.ArrayLike, truth: npt.ArrayLike) -> Numbers:
    """Distances between centres in units of the true box's width and height (TrackingNet, LaSOT).

    Args:
        found: (N, 4) x1, y1, x2, y2 in pixels.
        truth: (N, 4) likewise, none empty.

    Returns:
        (N,) from 0; infinite where the found box is empty.
    """
    b = _boxes(truth)
    return _errors(_boxes(found), b, b[:, 2:] - b[:, :2])


def success_curve(overlaps: npt.ArrayLike, thresholds: npt.ArrayLike = OVERLAPS) -> Numbers:
    """The fraction of frames whose overlap is above each threshold (strictly, as in OTB's toolkit).

    Args:
        overlaps: (N,) IoU per frame.
        thresholds: (T,) in 0..1.

    Returns:
        (T,) 0..1; NaN where there are no frames.
    """
    row = np.asarray(overlaps, dtype=np.float64)
    return _fractions(row[None, :] > np.asarray(thresholds)[:, None])


def success_auc(overlaps: npt.ArrayLike) -> float:
    """The area under the success curve: its mean over the thresholds 0, 0.05, ..., 1.

    Args:
        overlaps: (N,) IoU per frame.
    """
    return float(success_curve(overlaps).mean())


def success_rate(overlaps: npt.ArrayLike, threshold: float) -> float:
    """GOT-10k's SR: the fraction of frames whose overlap is above one threshold.

    Args:
        overlaps: (N,) IoU per frame.
        threshold: 0.5 or 0.75 in the benchmark.
    """
    return float(success_curve(overlaps, [threshold])[0])


def precision_at(errors: npt.ArrayLike, pixels: float = ERRORS) -> float:
    """The fraction of frames whose centre error is at most so many pixels.

    Args:
        errors: (N,) in pixels.
        pixels: 20 in the benchmarks.
    """
    return float(_fractions(np.asarray(errors, dtype=np.float64)[None, :] <= pixels)[0])


def normalised_precision(errors: npt.ArrayLike) -> float:
    """The area under the normalised precision curve: its mean over the thresholds 0, 0.01, ..., 0.5.

    Args:
        errors: (N,) normalised centre errors.
    """
    row = np.asarray(errors, dtype=np.float64)
    return float(_fractions(row[None, :] <= NORMALISED_ERRORS[:, None]).mean())


def _boxes(boxes: npt.ArrayLike) -> Numbers:
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def _area(boxes: Numbers) -> Numbers:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.where((sides > 0).all(axis=1), sides.prod(axis=1), 0.0)


def _errors(found: Numbers, truth: Numbers, unit: Numbers) -> Numbers:
    apart = (found[:, :2] + found[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2
    return np.where(_area(found) > 0, np.hypot(*(apart / unit).T), np.inf)


def _fractions(hits: npt.NDArray[np.bool_]) -> Numbers:
    if not hits.shape[1]:
        return np.full(len(hits), np.nan)
    fractions: Numbers = hits.mean(axis=1)
    return fractions
