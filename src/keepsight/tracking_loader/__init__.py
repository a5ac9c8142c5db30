"""One interface over every tracker: frames and first masks in, masks of all frames out.

    loader = create_tracking_loader("samurai", TrackingConfig(model_id="pocket", device="cpu"))
    loader.load()
    result = loader.track(frames, initial_masks, object_ids)
    rle = result.frames[-1].masks[0].to_rle()
    loader.unload()

`keepsight.track`, `Session` and `VideoTracker` do more (streams, late prompts, corrections); this is for
programs that hold a whole clip and want to exchange one tracker for another.
"""

from keepsight.detection.association import IOU_MATCH_THRESHOLD, LOW_CONFIDENCE_IOU_THRESHOLD
from keepsight.tracking_loader.factory import create_tracking_loader
from keepsight.tracking_loader.loader import TrackingModelLoader
from keepsight.tracking_loader.memory import SAM2Loader, SAM2LongLoader, SAMURAILoader
from keepsight.tracking_loader.results import (
    OCCLUSION_CONFIDENCE_THRESHOLD,
    TrackingConfig,
    TrackingFrame,
    TrackingFramework,
    TrackingMask,
    TrackingResult,
)
from keepsight.tracking_loader.yolo import YOLO11SegLoader

__all__ = [
    "IOU_MATCH_THRESHOLD",
    "LOW_CONFIDENCE_IOU_THRESHOLD",
    "OCCLUSION_CONFIDENCE_THRESHOLD",
    "SAM2Loader",
    "SAM2LongLoader",
    "SAMURAILoader",
    "TrackingConfig",
    "TrackingFrame",
    "TrackingFramework",
    "TrackingMask",
    "TrackingModelLoader",
    "TrackingResult",
    "YOLO11SegLoader",
    "create_tracking_loader",
]
