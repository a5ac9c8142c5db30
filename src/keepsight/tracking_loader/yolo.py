"""YOLO11-seg as a tracker: detected anew on every frame, and matched by overlap."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from keepsight.detection import Detector, OverlapFollower, YoloDetector
from keepsight.tracking_loader.loader import Clip, Loader, Seen, Tracker
from keepsight.tracking_loader.results import TrackingFramework
from keepsight.weights.hub import Hub

__all__ = ["YOLO11SegLoader"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


class DetectionTracker:
    """Follows masks by a detector's instances.

    Args:
        detector: finds instances on single frames.
    """

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    def follow(self, clip: Clip) -> Iterator[Mapping[int, Seen]]:
        """Every object by id, frame by frame; on the first frame the masks given."""
        follower = OverlapFollower(self._detector, clip.masks)
        for number, image in enumerate(clip.images()):
            if number == 0:
                yield {object_id: Seen(mask, 1.0, False) for object_id, mask in clip.masks.items()}
                continue
            yield {
                object_id: Seen(found.mask, found.confidence, found.occluded)
                for object_id, found in follower.step(image).items()
            }

    def revised(self) -> Mapping[int, Mapping[int, Seen]]:
        """Nothing: detections stand alone."""
        return {}


class YOLO11SegLoader(Loader):
    """YOLO11n-seg by ultralytics: every frame's instances, given to objects by overlap.

    It has no memory of looks: an object is the detection that overlaps its last known mask most (globally
    assigned, IoU above `IOU_MATCH_THRESHOLD`). Confidence is the detection's score times that IoU, 0 without
    a detection; occluded means no detection, or an IoU below `LOW_CONFIDENCE_IOU_THRESHOLD`. The first
    frame's masks are those given, with confidence 1.
    """

    refusals = MappingProxyType(
        {TrackingFramework.SAM2: "Meta's package runs SAM 2 only. Use TrackingFramework.ULTRALYTICS."}
    )

    def build(self, device: str) -> Tracker:
        """Loads the network onto a device."""
        config = self.config
        model = config.checkpoint_path or config.model_id
        if _REPOSITORY.fullmatch(model) and not Path(model).suffix and not Path(model).exists():
            cache = None if config.cache_dir is None else Path(config.cache_dir).expanduser()
            model = str(Hub(cache=cache).file(model, "yolo11n-seg.pt"))
        return DetectionTracker(YoloDetector(model, device=device, folder=config.cache_dir))
