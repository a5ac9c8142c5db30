"""Region similarity J: how much of two masks is shared."""

import numpy as np

from keepsight.types import BoolArray

__all__ = ["region_iou"]


def region_iou(found: BoolArray, truth: BoolArray) -> float:
    """Intersection over union of two masks, DAVIS' J.

    Args:
        found: (H, W) bool.
        truth: (H, W) bool.

    Returns:
        0..1; 1 where both are empty, as the object is rightly said to be absent.
    """
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0
