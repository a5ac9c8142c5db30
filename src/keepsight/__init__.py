"""keepsight: say once which object is meant, and get its mask on every other frame of a video.

    import keepsight as ks

    for result in ks.track("clip.mp4", {1: ks.Box(10, 20, 200, 300)}):
        print(result.index, result[1].box, result[1].score)

Importing this package does no work; each name below loads what it needs on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from keepsight.errors import (
    AnnotationError,
    FrameIndexError,
    KeepsightError,
    OutputError,
    PolicyError,
    PromptError,
    SourceError,
    UnknownModelError,
    UnknownObjectError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from keepsight.api import VideoTracker, load_model, track
    from keepsight.session import Session
    from keepsight.types import Box, Frame, FrameResult, Mask, ObjectResult, Points

    __version__: str

__all__ = [
    "AnnotationError",
    "Box",
    "Frame",
    "FrameIndexError",
    "FrameResult",
    "KeepsightError",
    "Mask",
    "ObjectResult",
    "OutputError",
    "Points",
    "PolicyError",
    "PromptError",
    "Session",
    "SourceError",
    "UnknownModelError",
    "UnknownObjectError",
    "UsageError",
    "VideoTracker",
    "WeightsError",
    "__version__",
    "load_model",
    "track",
]

_HOMES = {
    "Box": "keepsight.types",
    "Frame": "keepsight.types",
    "FrameResult": "keepsight.types",
    "Mask": "keepsight.types",
    "ObjectResult": "keepsight.types",
    "Points": "keepsight.types",
    "Session": "keepsight.session",
    "VideoTracker": "keepsight.api",
    "load_model": "keepsight.api",
    "track": "keepsight.api",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        value: object = import_module("importlib.metadata").version("keepsight")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'keepsight' has no attribute {name!r}")
    globals()[name] = value  # so that the second use is a plain look-up
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
