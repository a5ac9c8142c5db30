"""A drop-in for transformers' SAM 2 video classes; see `keepsight.compat.sam3_tracker_video`.

from keepsight.compat.sam2_video import Sam2VideoModel, Sam2VideoProcessor
# was: from transformers import Sam2VideoModel, Sam2VideoProcessor
"""

from keepsight.compat.sam3_tracker_video.configuration import (
    Sam2VideoConfig,
    Sam2VideoMaskDecoderConfig,
    Sam2VideoPromptEncoderConfig,
)
from keepsight.compat.sam3_tracker_video.model import Sam2VideoModel
from keepsight.compat.sam3_tracker_video.outputs import Sam2VideoSegmentationOutput
from keepsight.compat.sam3_tracker_video.processor import Sam2VideoProcessor
from keepsight.compat.sam3_tracker_video.session import Sam2VideoInferenceSession

__all__ = [
    "Sam2VideoConfig",
    "Sam2VideoInferenceSession",
    "Sam2VideoMaskDecoderConfig",
    "Sam2VideoModel",
    "Sam2VideoProcessor",
    "Sam2VideoPromptEncoderConfig",
    "Sam2VideoSegmentationOutput",
]
