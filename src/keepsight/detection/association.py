"""Who is who: tracked objects and one frame's detections, matched by overlap."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keepsight.detection.borrowed import need

__all__ = ["IOU_MATCH_THRESHOLD", "LOW_CONFIDENCE_IOU_THRESHOLD", "Match", "associate", "overlaps"]

IOU_MATCH_THRESHOLD = 0.3
"""A detection may be an object's only if it overlaps the object's last known mask by more than this."""

LOW_CONFIDENCE_IOU_THRESHOLD = 0.5
"""An object whose detection overlaps its last known mask by less than this counts as occluded."""

Masks = Sequence[npt.NDArray[np.bool_]]


class Match(NamedTuple):
    """An object's detection.

    Attributes:
        detection: its position in the frame's list.
        iou: how much of it and of the object's last known mask is common, above `IOU_MATCH_THRESHOLD`.
    """

    detection: int
    iou: float

    @property
    def occluded(self) -> bool:
        """Whether so little of the object is found that it counts as occluded."""
        return self.iou < LOW_CONFIDENCE_IOU_THRESHOLD


def overlaps(first: Masks, second: Masks) -> npt.NDArray[np.float64]:
    """IoU of every mask with every other.

    Args:
        first: N masks, (H, W) bool.
        second: M masks of the same size.

    Returns:
        (N, M), 0..1; 0 where either mask is empty.
    """
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    from pycocotools import mask as coco

    codes = [
        [coco.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks] for masks in (first, second)
    ]
    shared: npt.NDArray[np.float64] = coco.iou(codes[0], codes[1], [0] * len(second))
    return shared


def associate(references: Mapping[int, npt.NDArray[np.bool_]], detections: Masks) -> dict[int, Match]:
    """Gives every object its detection: all at once, so that the sum of the overlaps is the largest possible.

    Only pairs with IoU above `IOU_MATCH_THRESHOLD` count, and no detection serves two objects. Every object
    thereby has the best detection that no other object uses: were an unused one better, taking it would raise
    the sum; and an object stays without only if no unused detection reaches the threshold. Where two objects
    want one detection, it goes where the sum is larger, not to the object that asks first, so the order of
    objects and detections does not matter (but for exact ties).

    Args:
        references: each object's last known mask, (H, W) bool, by object id.
        detections: masks of the same size.

    Returns:
        Matches by object id; objects without a detection are left out.

    Raises:
        KeepsightError: scipy is not installed.
    """
    ious = overlaps(list(references.values()), detections)
    if not ious.size:
        return {}
    need("scipy", "keepsight[detect]")
    from scipy.optimize import linear_sum_assignment

    # A pair that does not count adds nothing: that it is "assigned" changes no sum, and it is dropped after.
    counted = np.where(ious > IOU_MATCH_THRESHOLD, ious, 0.0)
    ids = list(references)
    rows, columns = linear_sum_assignment(counted, maximize=True)
    return {
        ids[row]: Match(int(column), float(ious[row, column]))
        for row, column in zip(rows, columns, strict=True)
        if counted[row, column] > 0
    }
