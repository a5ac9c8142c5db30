"""Results out: annotations, masks, pictures and video, written one frame at a time.

    writer.py     what every writer is
    jsonlines.py  tracked_detections.jsonl
    images.py     annotated_frames/ and masks/
    coco.py       annotations.json
    video.py      tracking_video.mp4
    overlay.py    how results are drawn
    folder.py     the output folder and everything in it at once
    files.py      files that are never left half-written

Names resolve on first use, so that nobody waits for codecs that are not needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keepsight.export.coco import CocoWriter, assemble_coco
    from keepsight.export.folder import OutputFolder, open_writers
    from keepsight.export.images import FrameWriter, MaskWriter, davis_palette
    from keepsight.export.jsonlines import JsonLinesWriter
    from keepsight.export.overlay import draw
    from keepsight.export.video import VideoWriter
    from keepsight.export.writer import ResultWriter, Tracks

__all__ = [
    "CocoWriter",
    "FrameWriter",
    "JsonLinesWriter",
    "MaskWriter",
    "OutputFolder",
    "ResultWriter",
    "Tracks",
    "VideoWriter",
    "assemble_coco",
    "davis_palette",
    "draw",
    "open_writers",
]

_HOME = {
    "CocoWriter": "coco",
    "FrameWriter": "images",
    "JsonLinesWriter": "jsonlines",
    "MaskWriter": "images",
    "OutputFolder": "folder",
    "ResultWriter": "writer",
    "Tracks": "writer",
    "VideoWriter": "video",
    "assemble_coco": "coco",
    "davis_palette": "images",
    "draw": "overlay",
    "open_writers": "folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
