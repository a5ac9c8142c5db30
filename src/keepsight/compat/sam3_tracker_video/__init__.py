"""A drop-in for transformers' SAM 3 tracker classes.

    from keepsight.compat.sam3_tracker_video import Sam3TrackerVideoModel, Sam3TrackerVideoProcessor
    # was: from transformers import Sam3TrackerVideoModel, Sam3TrackerVideoProcessor

Names, arguments, defaults, shapes and the types of errors are transformers'; tracking is `VideoTracker`'s and
`Session`'s. `docs/compat_transformers.md` lists what is the same, what is deliberately different and what is
left out. `keepsight.compat.sam2_video` has the same under SAM 2's names.
"""

from keepsight.compat.sam3_tracker_video.configuration import (
    Sam3TrackerVideoConfig,
    Sam3TrackerVideoMaskDecoderConfig,
    Sam3TrackerVideoPromptEncoderConfig,
)
from keepsight.compat.sam3_tracker_video.model import Sam3TrackerVideoModel
from keepsight.compat.sam3_tracker_video.outputs import Sam3TrackerVideoSegmentationOutput
from keepsight.compat.sam3_tracker_video.processor import Sam3TrackerVideoProcessor
from keepsight.compat.sam3_tracker_video.session import Sam3TrackerVideoInferenceSession

__all__ = [
    "Sam3TrackerVideoConfig",
    "Sam3TrackerVideoInferenceSession",
    "Sam3TrackerVideoMaskDecoderConfig",
    "Sam3TrackerVideoModel",
    "Sam3TrackerVideoProcessor",
    "Sam3TrackerVideoPromptEncoderConfig",
    "Sam3TrackerVideoSegmentationOutput",
]
