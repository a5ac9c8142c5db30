"""Video files: forward, backward and by frame number, exact in number and time."""

from __future__ import annotations

import contextlib
import operator
import threading
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import islice
from types import TracebackType
from typing import TypeAlias

from av.video.frame import VideoFrame

from keepsight.errors import SourceError
from keepsight.types import Frame
from keepsight.video.prefetch import ReadAhead
from keepsight.video.reel import Reel, StreamError, Upright
from keepsight.video.source import SourceInfo, chosen_range, require_index
from keepsight.video.timeline import Timeline

__all__ = ["VideoFile"]

Numbered: TypeAlias = Generator[tuple[int, VideoFrame], None, None]

_HELD_BYTES = 256 * 2**20
_FEWEST_HELD, _MOST_HELD = 8, 64
_SEEK_ATTEMPTS = 4


class VideoFile:
    """A video file, or a finite video behind a URL.

    Frames are numbered as they are decoded from the beginning, whatever numbers or durations the file
    states. `Frame.time` is the frame's time stamp times the stream's time base, less that of frame 0:
    exact, frame 0 at time 0, and right for variable frame rates. A stream without time stamps is timed
    by its rate, and not at all if it has none.

    Args:
        location: path or URL.
        name: what messages call it.
        prefetch: frames decoded ahead.
        held: frames that going backward may hold at once; None for what fits 256 MiB, but 8 to 64.
        timeout: seconds that opening and each read may take; None waits for ever.

    Raises:
        SourceError: it cannot be opened, is no video or has no frame that can be decoded.
    """

    def __init__(
        self,
        location: str,
        *,
        name: str,
        prefetch: int = 8,
        held: int | None = None,
        timeout: float | None = None,
    ) -> None:
        self._location, self._name, self._timeout = location, name, timeout
        self._ahead = ReadAhead(prefetch)
        self._lock = threading.Lock()
        self._timeline_lock = threading.Lock()
        self._known_timeline: Timeline | None = None
        self._upright = Upright()
        with self._open() as reel:
            first = self._first(reel)
            image = self._upright.rgb(first)
            self._origin = first.pts
            self._time_base = reel.time_base
            rate = reel.guessed_rate if first.pts is None else reel.average_rate
            self._info = SourceInfo(image.shape[1], image.shape[0], reel.stated_frames, rate, name)
        self._held = held or min(max(_FEWEST_HELD, _HELD_BYTES // image.nbytes), _MOST_HELD)
        self._playing: Numbered | None = None
        self._last: Frame | None = None

    @property
    def info(self) -> SourceInfo:
        """Size, rate, name; `frame_count` only where the container's index states it."""
        return self._info

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        """See `FrameSource.frames`. Backward, a file without time stamps is decoded anew for every piece."""
        self._ahead.require_open()
        numbers = chosen_range(start, stop, step)
        if start:
            require_index(start, self.count(), self._name)
        return self._ahead.over(self._backward(numbers) if reverse else self._forward(numbers))

    def count(self) -> int:
        """See `FrameSource.count`; the first call reads through the file once."""
        self._ahead.require_open()
        return self._timeline().count

    def close(self) -> None:
        """See `FrameSource.close`."""
        self._ahead.close()
        with self._lock:
            self._stop_playing()

    def _stop_playing(self) -> None:
        if self._playing is not None:
            self._playing.close()
        self._playing = None

    def _first(self, reel: Reel) -> VideoFrame:
        try:
            first = next(reel.decode(), None)
        except StreamError as broken:
            raise self._stopped(0, str(broken)) from broken
        if first is None:
            raise SourceError(f"Expected a video, but {self._name} has no frames. Check how it was made.")
        return first

    def read(self, index: int) -> Frame:
        """See `FrameSource.read`. Safe to call from several threads; they wait for each other."""
        number = operator.index(index)
        with self._lock:
            self._ahead.require_open()
            if self._last is None or self._last.index != number:
                self._last = self._frame(number, self._find(number))
            return self._last

    def _find(self, number: int) -> VideoFrame:
        if number < 0 or (self._info.frame_count or number + 1) <= number:
            require_index(number, self.count(), self._name)
        reached = -1 if self._last is None else self._last.index
        if self._playing is None or not self._lies_ahead(reached, number):
            if number:
                self._require(number)
            self._stop_playing()
            self._playing = self._from(number)
        self._last = None
        for found, frame in self._playing:
            if found == number:
                return frame
        self._playing = None
        self._require(number)
        raise self._stopped(number, "it has no picture there")

    def _lies_ahead(self, reached: int, number: int) -> bool:
        """Whether decoding on from `reached` gets to `number` without passing a keyframe to jump to."""
        if reached < 0 or number <= reached:
            return False
        return number == reached + 1 or self._timeline().keyframe_before(number) <= reached + 1

    def _require(self, number: int) -> None:
        timeline = self._timeline()
        if timeline.damage and timeline.count <= number < (self._info.frame_count or number + 1):
            raise self._stopped(timeline.count, timeline.damage)
        require_index(number, timeline.count, self._name)

    def _forward(self, numbers: range) -> Generator[Frame, None, None]:
        with contextlib.closing(self._from(numbers.start)) as decoded:
            for number, frame in decoded:
                if number >= numbers.stop:
                    return
                if number in numbers:
                    yield self._frame(number, frame)

    def _backward(self, numbers: range) -> Generator[Frame, None, None]:
        """Decode piece by piece, the last first: whole groups of pictures where they fit, else parts."""
        timeline = self._timeline()
        if timeline.damage and numbers.stop > timeline.count:
            raise self._stopped(timeline.count, timeline.damage)
        numbers = range(numbers.start, min(numbers.stop, timeline.count), numbers.step)
        stop = numbers.stop
        while stop > numbers.start:
            begin = max(stop - self._held, numbers.start)
            begin = timeline.keyframe_within(begin, stop) or begin
            with contextlib.closing(self._from(begin)) as decoded:
                piece = [pair for pair in islice(decoded, stop - begin) if pair[0] in numbers]
            while piece:
                yield self._frame(*piece.pop())
            stop = begin

    def _from(self, start: int) -> Numbered:
        """Decoded frames with their numbers, from exactly `start` to the end.

        Raises:
            SourceError: the file breaks off; every frame before that was given.
        """
        expected = start
        try:
            with contextlib.closing(self._from_keyframe(start)) as decoded:
                for number, frame in decoded:
                    if number < start:
                        continue
                    if number != expected:
                        raise self._stopped(expected, "it has no picture there")
                    expected += 1
                    yield number, frame
        except StreamError as broken:
            raise self._stopped(expected, str(broken)) from broken

    def _from_keyframe(self, start: int) -> Numbered:
        """As `_from`, beginning with `start` or some frame before it."""
        keys = self._timeline().keyframes_back_from(start) if start else ()
        # A container may land on a later keyframe than asked for, or on one that does not stand alone.
        for key in islice(keys, _SEEK_ATTEMPTS):
            with self._open() as reel, contextlib.closing(self._sought(reel, key)) as decoded:
                first = next(decoded, None)
                if first is not None and first[0] <= start:
                    yield first
                    yield from decoded
                    return
        with self._open() as reel:
            yield from enumerate(reel.decode())

    def _sought(self, reel: Reel, key: int) -> Numbered:
        timeline = self._timeline()
        sound = False
        try:
            reel.seek(timeline.stamps[key])
        except StreamError:
            return
        for frame in reel.decode():
            number = timeline.number_of(frame.pts)
            sound = sound or not frame.is_corrupt
            if number is not None and sound:
                yield number, frame

    def _timeline(self) -> Timeline:
        with self._timeline_lock:
            if self._known_timeline is None:
                with self._open() as reel:
                    self._known_timeline = Timeline.of(reel)
            if self._known_timeline is None:
                with self._open() as reel:
                    self._known_timeline = Timeline.by_decoding(reel)
            return self._known_timeline

    def _frame(self, number: int, frame: VideoFrame) -> Frame:
        image = self._upright.rgb(frame)
        info = self._info
        if image.shape[:2] != (info.height, info.width):
            raise SourceError(
                f"Expected frames of one size, but {self._name} changes from {info.width}x{info.height} "
                f"pixels to {image.shape[1]}x{image.shape[0]} at frame {number}. Split the video there."
            )
        return Frame(number, self._time(number, frame.pts), image)

    def _time(self, number: int, stamp: int | None) -> Fraction | None:
        if self._origin is None:
            return number / self._info.rate if self._info.rate else None
        return None if stamp is None or self._time_base is None else (stamp - self._origin) * self._time_base

    def _open(self) -> Reel:
        return Reel(self._location, self._name, timeout=self._timeout)

    def _stopped(self, number: int, reason: str) -> SourceError:
        if number == 0:
            return SourceError(
                f"Expected a video, but no frame of {self._name} can be decoded: {reason}. Check the file."
            )
        return SourceError(
            f"Decoding of {self._name} stopped at frame {number}: {reason}. The {number} frames before it "
            f"can be used; repair the file, or fetch it again, for the rest."
        )
