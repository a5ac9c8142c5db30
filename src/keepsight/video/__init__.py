"""Video in: files, folders, lists, cameras and streams, all read through one `FrameSource`."""

from keepsight.video.images import as_rgb
from keepsight.video.source import FrameSource, Source, SourceInfo, open_source

__all__ = ["FrameSource", "Source", "SourceInfo", "as_rgb", "open_source"]
