"""Detection: what is on one frame (YOLO11-seg, run by ultralytics), and who is who on the next (by overlap).

Needs the extra `detect`. Nothing here imports ultralytics or scipy before it is used.
"""

from keepsight.detection.association import (
    IOU_MATCH_THRESHOLD,
    LOW_CONFIDENCE_IOU_THRESHOLD,
    Match,
    associate,
    overlaps,
)
from keepsight.detection.follower import Followed, OverlapFollower
from keepsight.detection.prompter import DetectionPrompter
from keepsight.detection.yolo import Detection, Detector, YoloDetector

__all__ = [
    "IOU_MATCH_THRESHOLD",
    "LOW_CONFIDENCE_IOU_THRESHOLD",
    "Detection",
    "DetectionPrompter",
    "Detector",
    "Followed",
    "Match",
    "OverlapFollower",
    "YoloDetector",
    "associate",
    "overlaps",
]
