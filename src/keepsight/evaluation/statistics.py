"""What DAVIS says of an object's values over time: mean, recall and decay."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Statistics", "statistics_of"]

GOOD = 0.5  # a frame above this counts for recall
BINS = 4


class Statistics(NamedTuple):
    """One object's J or F over the frames of a sequence.

    Attributes:
        mean: of all frames.
        recall: the fraction of frames above 0.5.
        decay: the mean of the first quarter less that of the last; what tracking lost on the way.
    """

    mean: float
    recall: float
    decay: float


def statistics_of(values: npt.ArrayLike) -> Statistics:
    """Mean, recall and decay as the DAVIS benchmark takes them.

    Values that are not numbers are left out of means but count as misses for recall. Neighbouring quarters
    share the frame at which they meet. (The official code keeps the quarters' ends in 8 bits, which is
    wrong from the 257th frame on, a length that DAVIS does not have; ours are right at any length.)

    Args:
        values: (N,) one per scored frame, in order.

    Returns:
        The three; NaN where there is nothing to take a mean of.
    """
    row = np.asarray(values, dtype=np.float64)
    if not len(row):
        return Statistics(float("nan"), float("nan"), float("nan"))
    # Halves round to the even neighbour, but for the tiny push up that the benchmark gives them.
    ends = np.round(np.linspace(1, len(row), BINS + 1) + 1e-10).astype(np.int64) - 1
    first, last = row[ends[0] : ends[1] + 1], row[ends[-2] : ends[-1] + 1]
    return Statistics(_mean(row), float(np.mean(row > GOOD)), _mean(first) - _mean(last))


def _mean(values: npt.NDArray[np.float64]) -> float:
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")
