"""Live sources: cameras and endless streams, whose frames come once and do not wait."""

from __future__ import annotations

import dataclasses
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NoReturn
from urllib.parse import urlsplit

import numpy as np

from keepsight.errors import SourceError
from keepsight.types import Frame, ImageArray
from keepsight.video.container import VideoFile
from keepsight.video.prefetch import ReadAhead
from keepsight.video.reel import Reel, StreamError, Upright
from keepsight.video.source import FrameSource, SourceInfo

__all__ = ["Camera", "LiveStream", "open_url"]

_TIMEOUT_SECONDS = 15.0
_NANOSECONDS = 10**9


def open_url(url: str, *, prefetch: int) -> FrameSource:
    """A stream's URL: a `VideoFile` if it is a finite video over HTTP, else a `LiveStream`.

    Raises:
        SourceError: it cannot be opened or shows no frame within 15 seconds.
    """
    name = re.sub(r"(?<=://)[^/@]*@", "", url)
    reel = Reel(url, name, timeout=_TIMEOUT_SECONDS, live=True)
    if reel.bounded and urlsplit(url).scheme.lower() in ("http", "https"):
        reel.close()
        return VideoFile(url, name=name, prefetch=prefetch, timeout=_TIMEOUT_SECONDS)
    return LiveStream(reel, name=name, prefetch=prefetch)


class _LiveSource(ABC):
    """What cameras and streams share: frames once, in real time, the newest first when there is no time.

    The device belongs to whoever reads it: to the reading thread once there is one, so that it is never
    released under a read that is still going on.
    """

    def __init__(self, prefetch: int) -> None:
        self._ahead = ReadAhead(prefetch, newest=True)
        self._started = False
        self._info: SourceInfo

    @property
    def info(self) -> SourceInfo:
        """Size, rate and name."""
        return self._info

    def __enter__(self) -> _LiveSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        self._ahead.require_open()
        if self._started:
            raise SourceError(f"{self._info.name} is live and was read already. Open it again to go on.")
        self._started = True
        return self._numbered()

    def _numbered(self) -> Iterator[Frame]:
        # Dropped frames leave no gap in the numbers: these count what was delivered.
        for number, frame in enumerate(self._ahead.over(self._owned())):
            yield dataclasses.replace(frame, index=number)

    def _owned(self) -> Generator[Frame, None, None]:
        try:
            yield from self._grab()
        finally:
            self._release()

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        """Raises SourceError."""
        self._refuse()

    def read(self, index: int) -> Frame:
        """Raises SourceError."""
        self._refuse()

    def count(self) -> int:
        """Raises SourceError."""
        self._refuse()

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._ahead.close()
        if not self._started:
            self._started = True
            self._release()

    def _refuse(self) -> NoReturn:
        raise SourceError(
            f"{self._info.name} is live: its frames come once and in order, and have no number to ask for. "
            f"Iterate over it, or record it to a file first."
        )

    @abstractmethod
    def _grab(self) -> Generator[Frame, None, None]:
        """Frames as they come."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the device."""


class Camera(_LiveSource):
    """A camera by its number, through OpenCV. `Frame.time` is the time since the first frame was read.

    Args:
        index: the camera's number, 0 for the first.
        prefetch: frames that may wait.

    Raises:
        SourceError: there is no such camera or it gives no frame.
    """

    def __init__(self, index: int, *, prefetch: int = 8) -> None:
        import cv2

        super().__init__(prefetch)
        name = f"camera {index}"
        if index < 0:
            raise SourceError(f"Expected a camera index from 0, but got {index}. The first camera is 0.")
        self._capture = cv2.VideoCapture(index)
        image = self._picture() if self._capture.isOpened() else None
        if image is None:
            self._capture.release()
            raise SourceError(
                f"Expected frames from {name}, but it cannot be opened. Check that it is connected, "
                f"that no other program uses it and that you may read it."
            )
        self._began = time.monotonic_ns()
        self._first = image
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        stated = Fraction(rate).limit_denominator(1001) if np.isfinite(rate) and rate > 0 else None
        self._info = SourceInfo(image.shape[1], image.shape[0], None, stated, name, live=True)

    def _picture(self) -> ImageArray | None:
        import cv2

        arrived, image = self._capture.read()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8) if arrived else None

    def _grab(self) -> Generator[Frame, None, None]:
        yield Frame(0, Fraction(0), self._first)
        while (image := self._picture()) is not None:
            yield Frame(0, Fraction(time.monotonic_ns() - self._began, _NANOSECONDS), image)
        raise SourceError(f"{self._info.name} stopped giving frames. Check its connection and open it again.")

    def _release(self) -> None:
        self._capture.release()


class LiveStream(_LiveSource):
    """A stream that never ends by plan: RTSP, RTMP, UDP, live HTTP. `Frame.time` counts from frame 0.

    Args:
        reel: the stream, opened; this object closes it.
        name: what messages call it.
        prefetch: frames that may wait.

    Raises:
        SourceError: no frame can be decoded.
    """

    def __init__(self, reel: Reel, *, name: str, prefetch: int = 8) -> None:
        super().__init__(prefetch)
        self._reel = reel
        self._decoding = reel.decode()
        try:
            first = next(self._decoding, None)
        except StreamError as broken:
            reel.close()
            raise SourceError(
                f"Expected frames from {name}, but: {broken}. Check the stream's sender."
            ) from broken
        if first is None:
            reel.close()
            raise SourceError(f"Expected frames from {name}, but it ended without one. Check its sender.")
        self._upright = Upright()
        image = self._upright.rgb(first)
        self._first = Frame(0, None if first.pts is None else Fraction(0), image)
        self._origin = first.pts
        self._info = SourceInfo(image.shape[1], image.shape[0], None, reel.average_rate, name, live=True)

    def _grab(self) -> Generator[Frame, None, None]:
        yield self._first
        try:
            for frame in self._decoding:
                yield self._frame(frame.pts, self._upright.rgb(frame))
        except StreamError as broken:
            raise SourceError(
                f"{self._info.name} broke off: {broken}. Check its sender and open it again."
            ) from broken

    def _frame(self, stamp: int | None, image: ImageArray) -> Frame:
        if image.shape != self._first.image.shape:
            raise SourceError(
                f"Expected frames of one size, but {self._info.name} changed from {self._info.width}x"
                f"{self._info.height} pixels to {image.shape[1]}x{image.shape[0]}. Open it again."
            )
        base = self._reel.time_base
        if stamp is None or self._origin is None or base is None:
            return Frame(0, None, image)
        return Frame(0, (stamp - self._origin) * base, image)

    def _release(self) -> None:
        self._reel.close()
