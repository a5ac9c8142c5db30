"""Where frames come from: one protocol for every kind of source, and the function that opens them."""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from keepsight.errors import FrameIndexError, SourceError, UsageError
from keepsight.types import Frame, ImageArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FrameSource", "Picture", "Source", "SourceInfo", "chosen_range", "open_source", "require_index"]

Picture: TypeAlias = "str | os.PathLike[str] | ImageArray | Image.Image"
Source: TypeAlias = "str | os.PathLike[str] | int | Sequence[Picture] | ImageArray"
"""What `open_source` accepts."""

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    Attributes:
        width: pixels across, upright (after rotation).
        height: pixels down, upright.
        frame_count: the number of frames where the source states it exactly, else None. Of a damaged
            file it is what the file promises.
        rate: average frames per second, exact (30000/1001 stays that), or None where there is none.
        name: the source in a few words, fit for messages; never contains a password.
        live: whether frames come in real time and only once.
        file_names: one name per frame where frames are files, else None. Base names where these are
            unique, otherwise paths below the files' common folder.
    """

    width: int
    height: int
    frame_count: int | None
    rate: Fraction | None
    name: str
    live: bool = False
    file_names: tuple[str, ...] | None = None


@runtime_checkable
class FrameSource(Protocol):
    """Frames in order, numbered from 0; a context manager.

    Not live: iterating again starts again, and any number of iterations and reads may be under way.
    Live: frames come once, `read`, `count` and `frames` raise SourceError, and where the consumer is
    slower than the camera the oldest waiting frames are dropped (`Frame.time` shows the gaps;
    `Frame.index` counts the frames delivered).
    """

    @property
    def info(self) -> SourceInfo:
        """Size, rate and name."""
        ...

    def __enter__(self) -> FrameSource: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]:
        """Every frame, first to last, decoded ahead by a thread.

        Raises:
            SourceError: a frame cannot be read; all frames before it were delivered.
        """
        ...

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        """The frames of `range(start, stop, step)`, decoded ahead; the last of them first if `reverse`.

        Args:
            start: first frame number.
            stop: the number after the last; None for the end. A stop beyond the end means the end.
            step: take every step-th frame, at least 1.
            reverse: go backward. Memory stays bounded however far apart the keyframes lie.

        Raises:
            FrameIndexError: `start` lies outside the source.
            SourceError: the source is live, closed, or a frame cannot be read.
        """
        ...

    def read(self, index: int) -> Frame:
        """One frame by number; reading on from the last one read is as cheap as iterating.

        Raises:
            FrameIndexError: there is no such frame.
            SourceError: the source is live, closed, or the frame cannot be read.
        """
        ...

    def count(self) -> int:
        """The exact number of frames that can be read; may have to walk through the file once.

        Raises:
            SourceError: the source is live or closed.
        """
        ...

    def close(self) -> None:
        """Stop every reading thread and let go of the file or device. Harmless when repeated."""
        ...


def open_source(source: Source | FrameSource, *, prefetch: int = 8) -> FrameSource:
    """Open anything that frames can come from.

    Args:
        source: the path of a video file or of one image; a folder of images; a glob of images
            ("shots/*.png", "**" descends); a sequence of image paths, PIL images or uint8 arrays
            ((H, W, 3) or (H, W, 4) RGB, (H, W) grey), or one such array of shape (N, H, W, 3); a camera
            index; a stream's URL (rtsp://, http://, ...); or a source already open, which is returned. Images
            are taken in numeric order (2.jpg before 10.jpg), sequences in their own.
        prefetch: frames decoded ahead of the consumer; 0 decodes without a thread.

    Returns:
        An open source; close it or use it in a `with` statement.

    Raises:
        SourceError: it does not exist, holds no frames, cannot be read, or its images differ in size.
        UsageError: `prefetch` is not a number from 0.
    """
    if isinstance(prefetch, bool) or not isinstance(prefetch, int) or prefetch < 0:
        raise UsageError(f"open_source expects prefetch to be a whole number from 0, but got {prefetch!r}.")
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, bool | bytes):
        raise _not_a_source(source)
    if isinstance(source, int | np.integer):
        from keepsight.video.live import Camera

        return Camera(int(source), prefetch=prefetch)
    if isinstance(source, str | os.PathLike):
        return _open_place(os.fspath(source), prefetch)
    return _open_sequence(source, prefetch)


def _open_place(place: str, prefetch: int) -> FrameSource:
    if _URL.match(place) and not place.lower().startswith("file://"):
        from keepsight.video.live import open_url

        return open_url(place, prefetch=prefetch)
    from keepsight.video import images

    path = Path(place[7:] if place.lower().startswith("file://") else place).expanduser()
    if not place:
        raise SourceError("Expected a path, a glob or a URL, but got an empty string. Name the source.")
    if path.is_dir():
        return images.open_folder(path, prefetch=prefetch)
    if path.exists():
        if images.is_image(path):
            return images.ImageSource([path], name=path.name, prefetch=prefetch)
        from keepsight.video.container import VideoFile

        return VideoFile(str(path.absolute()), name=path.name, prefetch=prefetch)
    if any(sign in place for sign in "*?["):
        return images.open_glob(str(path), prefetch=prefetch)
    raise SourceError(
        f"Expected a video file, an image or a folder of images, but {place} does not exist. "
        f"Check the path; it was looked for in {Path.cwd()}."
    )


def _open_sequence(source: object, prefetch: int) -> FrameSource:
    from keepsight.video import images

    if isinstance(source, np.ndarray):
        if source.ndim != 4:
            raise SourceError(
                f"Expected an array of frames, (N, H, W, 3), but got an array of shape {source.shape}. "
                f"Put a single image into a list: [image]."
            )
        return images.ImageSource(list(source), name="array", prefetch=prefetch)
    if not isinstance(source, Sequence):
        raise _not_a_source(source)
    if not source:
        raise SourceError("Expected a sequence of images, but it is empty. Give at least one image.")
    return images.ImageSource(source, name=f"list of {len(source)} images", prefetch=prefetch)


def _not_a_source(source: object) -> SourceError:
    return SourceError(
        "Expected a path, a glob, a URL, a camera index or a list of images as source, but got "
        f"{type(source).__name__}. Make an iterator a list; hand in single frames to keepsight.Session."
    )


def require_index(index: int, count: int, name: str) -> int:
    """`index` as a plain int, if a source of `count` frames has it.

    Raises:
        FrameIndexError: it has not; the message gives the number of frames.
    """
    number = operator.index(index)
    if not 0 <= number < count:
        raise FrameIndexError(
            f"{name} has {count} frame{'s' * (count != 1)}, numbered 0 to {count - 1}, but frame {number} "
            f"was asked for. Choose a number in that range."
        )
    return number


def chosen_range(start: int, stop: int | None, step: int) -> range:
    """The frame numbers of `frames(start, stop, step)`; an open end is the largest range there is.

    Raises:
        UsageError: `step` is below 1.
        FrameIndexError: `start` or `stop` is negative.
    """
    if step < 1:
        raise UsageError(
            f"frames expects a step of at least 1, but got {step}. Use reverse=True to go backward."
        )
    if start < 0 or (stop is not None and stop < 0):
        raise FrameIndexError(
            f"frames expects start and stop from 0, but got start={start}, stop={stop}. "
            f"Count from the first frame, or leave stop out for the end."
        )
    return range(operator.index(start), 2**62 if stop is None else operator.index(stop), step)
