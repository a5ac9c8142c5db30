"""A drop-in for the video predictor of Meta's `sam2` package.

    from keepsight.compat.sam2 import build_sam2_video_predictor   # was: from sam2.build_sam import ...

Names, arguments, defaults, return values and the types of errors are Meta's; tracking is `VideoTracker`'s.
`docs/compat_sam2.md` lists what is the same, what is deliberately different and what is left out.
"""

from keepsight.compat.sam2.boxes import batched_mask_to_box
from keepsight.compat.sam2.building import build_sam2_video_predictor, build_sam2_video_predictor_hf
from keepsight.compat.sam2.errors import (
    CheckpointError,
    MissingCheckpointError,
    NotPromptedError,
    StateKeyError,
    UnreadableVideoError,
)
from keepsight.compat.sam2.predictor import SAM2VideoPredictor
from keepsight.compat.sam2.state import InferenceState

__all__ = [
    "CheckpointError",
    "InferenceState",
    "MissingCheckpointError",
    "NotPromptedError",
    "SAM2VideoPredictor",
    "StateKeyError",
    "UnreadableVideoError",
    "batched_mask_to_box",
    "build_sam2_video_predictor",
    "build_sam2_video_predictor_hf",
]
