"""What goes into a loader besides frames, and what comes out."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from keepsight.types import ObjectResult, Rle

__all__ = [
    "OCCLUSION_CONFIDENCE_THRESHOLD",
    "TrackingConfig",
    "TrackingFrame",
    "TrackingFramework",
    "TrackingMask",
    "TrackingResult",
]

OCCLUSION_CONFIDENCE_THRESHOLD = 0.5
"""An object whose probability of being in the frame is below this counts as occluded."""


class TrackingFramework(str, Enum):
    """What runs the network."""

    PYTORCH = "pytorch"
    """Keepsight's own engine."""
    ULTRALYTICS = "ultralytics"
    """The ultralytics package, for YOLO."""
    SAM2 = "sam2"
    """Meta's own `sam2` package, for SAM 2 and 2.1."""


@dataclass
class TrackingConfig:
    """Which model, and where it runs.

    Attributes:
        model_id: a name of the catalogue ("pocket", "sam2.1_hiera_tiny"), a Hugging Face repository
            ("facebook/sam2.1-hiera-tiny"), or a path; for YOLO a name ("yolo11n-seg"), a repository or path.
        framework: what runs it. YOLO is always run by ultralytics.
        device: "cuda", "cuda:1", "cpu", "mps" or "auto". Asked for CUDA where there is none, a loader warns
            and takes the CPU.
        cache_dir: where downloads from the Hugging Face hub are kept; the hub's own folder when omitted.
        checkpoint_path: a file of weights; where given, it is loaded and not what `model_id` names.
    """

    model_id: str
    framework: TrackingFramework = TrackingFramework.PYTORCH
    device: str = "cuda"
    cache_dir: str | None = None
    checkpoint_path: str | None = None


@dataclass
class TrackingMask:
    """One object on one frame.

    Attributes:
        mask: (H, W) uint8 of 0 and 1 at frame resolution; all 0 where nothing of the object is seen.
        confidence: probability, 0..1, that the object is there and the mask is right: the presence that the
            network gives the object, times its own estimate of the mask's IoU with the truth. For YOLO: the
            detection's score times its overlap (IoU) with where the object was last; 0 without a detection.
        object_id: the object's number, as given to `track`.
    """

    mask: npt.NDArray[np.uint8]
    confidence: float
    object_id: int

    def to_rle(self) -> Rle:
        """The mask as COCO run-length code, `{"size", "counts"}` with counts as text, for pycocotools."""
        return ObjectResult(self.mask.astype(np.bool_), 0.0, 0.0, False).to_rle()


@dataclass
class TrackingFrame:
    """Every object on one frame.

    Attributes:
        frame_idx: the frame's position in the list given to `track`, from 0.
        masks: one per object, in the order of the ids given, also for objects that are occluded.
        occlusions: whether each object is occluded, by id: its presence, the probability that it is in the
            frame, is below `OCCLUSION_CONFIDENCE_THRESHOLD`. For YOLO: it has no detection, or one that
            overlaps where the object was last by less than `LOW_CONFIDENCE_IOU_THRESHOLD`.
        processing_time: seconds spent on this frame.
    """

    frame_idx: int
    masks: list[TrackingMask]
    occlusions: dict[int, bool]
    processing_time: float


@dataclass
class TrackingResult:
    """A whole clip.

    Attributes:
        frames: one per frame given, in order.
        video_width: of a frame, in pixels.
        video_height: of a frame, in pixels.
        total_processing_time: seconds for the clip, all that `track` did included.
        fps: frames per second of that time.
    """

    frames: list[TrackingFrame]
    video_width: int
    video_height: int
    total_processing_time: float
    fps: float
