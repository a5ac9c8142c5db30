"""keepsight: say once, on any frame, which object is meant, and get its mask on every other frame.

Importing this package does no work; names are resolved when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keepsight.api import VideoTracker as VideoTracker
    from keepsight.api import load_model as load_model
    from keepsight.api import track as track
    from keepsight.errors import AnnotationError as AnnotationError
    from keepsight.errors import FrameIndexError as FrameIndexError
    from keepsight.errors import KeepsightError as KeepsightError
    from keepsight.errors import OutputError as OutputError
    from keepsight.errors import PolicyError as PolicyError
    from keepsight.errors import PromptError as PromptError
    from keepsight.errors import SourceError as SourceError
    from keepsight.errors import UnknownModelError as UnknownModelError
    from keepsight.errors import UnknownObjectError as UnknownObjectError
    from keepsight.errors import UsageError as UsageError
    from keepsight.errors import WeightsError as WeightsError
    from keepsight.session import Session as Session
    from keepsight.types import Box as Box
    from keepsight.types import Frame as Frame
    from keepsight.types import FrameResult as FrameResult
    from keepsight.types import Mask as Mask
    from keepsight.types import ObjectResult as ObjectResult
    from keepsight.types import Points as Points

__version__ = "0.1.0"

_HOMES = {
    "keepsight.api": ("load_model", "track", "VideoTracker"),
    "keepsight.session": ("Session",),
    "keepsight.types": ("Box", "Frame", "FrameResult", "Mask", "ObjectResult", "Points"),
    "keepsight.errors": (
        "AnnotationError",
        "FrameIndexError",
        "KeepsightError",
        "OutputError",
        "PolicyError",
        "PromptError",
        "SourceError",
        "UnknownModelError",
        "UnknownObjectError",
        "UsageError",
        "WeightsError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'keepsight' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
