"""Following objects through a video by detecting anew on every frame."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keepsight.detection.association import associate
from keepsight.detection.yolo import Detection, Detector
from keepsight.types import ImageArray

__all__ = ["Followed", "OverlapFollower"]


@dataclass(frozen=True, eq=False)
class Followed:
    """One object on one frame.

    Attributes:
        mask: (H, W) bool, its detection's mask; all False where it has none.
        iou: overlap of that mask with the object's last known one, 0..1; 0 without a detection.
        confidence: probability that the mask is the object's: the detection's score, which says that there is
            such a thing, times `iou`, which says how far it is where the object was. 0 without a detection.
        occluded: whether there is no detection, or `iou` is below `LOW_CONFIDENCE_IOU_THRESHOLD`.
        detection: the detection, or None.
    """

    mask: npt.NDArray[np.bool_]
    iou: float
    confidence: float
    occluded: bool
    detection: Detection | None


class OverlapFollower:
    """One video: masks of the first frame in, then every later frame in order.

    An object without a detection keeps its last known mask as the reference for later frames, so one that was
    hidden is found again if it comes back about where it was.

    Args:
        detector: what finds the instances.
        masks: (H, W) bool, by object id, as they are on the frame before the first one handed in.
    """

    def __init__(self, detector: Detector, masks: Mapping[int, npt.NDArray[np.bool_]]) -> None:
        self._detector = detector
        self._known = dict(masks)

    def step(self, image: ImageArray) -> dict[int, Followed]:
        """Takes the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the masks' size.

        Returns:
            Every object, by id.
        """
        detections = self._detector.detect(image)
        matches = associate(self._known, [detection.mask for detection in detections])
        found = {}
        for object_id, last in self._known.items():
            match = matches.get(object_id)
            if match is None:
                found[object_id] = Followed(np.zeros_like(last), 0.0, 0.0, True, None)
                continue
            detection = detections[match.detection]
            confidence = detection.score * match.iou
            found[object_id] = Followed(detection.mask, match.iou, confidence, match.occluded, detection)
            self._known[object_id] = detection.mask
        return found
