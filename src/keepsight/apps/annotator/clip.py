"""The video that is annotated."""

from collections.abc import Callable
from dataclasses import dataclass

from keepsight.video import FrameSource, SourceInfo

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip:
    """The video that is annotated.

    Attributes:
        info: size, rate and name.
        frames: how many can be read.
        opened: opens it anew, for a thread of its own.
    """

    info: SourceInfo
    frames: int
    opened: Callable[[], FrameSource]
