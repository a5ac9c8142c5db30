"""`tracking_video.mp4`: the annotated frames as H.264 that browsers play."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from keepsight.errors import OutputError, UsageError
from keepsight.export.files import beside, new_file, output_errors
from keepsight.export.images import encode_jpeg
from keepsight.export.overlay import Painter
from keepsight.export.writer import ResultWriter, frame_stem
from keepsight.types import FrameResult

__all__ = ["VideoWriter"]

ImageArray = npt.NDArray[np.uint8]

# Divisible by the usual frame rates (24000/1001, 25, 30000/1001, 60000/1001), milliseconds and 1/90000 s.
_TICKS_PER_SECOND = 5_760_000
_BT709 = 1  # its number in ITU-T H.273
_RATE_WITHOUT_TIMES = Fraction(10)
_NOMINAL_RATE = Fraction(30)  # what the encoder is told of frames that bring their own times


class VideoWriter(ResultWriter):
    """The annotated frames as one MP4 file: H.264, yuv420p, BT.709, index in front.

    While results come the file is a fragmented MP4, playable at any moment but for the last few frames,
    which are still in the encoder; `close` rearranges it, without encoding again, so that players can
    seek. Frames that arrive out of order (tracking backwards, frames done again) wait as JPEGs in
    `<path>.frames/` and are put in their places on closing, by encoding a second time.

    Odd widths and heights are made even by repeating the last column or row.

    Args:
        path: the file; replaced if it exists.
        rate: frames per second; when omitted each frame is shown at its own `time`, exact to 0.2
            microseconds and counted from the first one, or, where results have no time, at 10 per second.
        names: display names by object id.
        draw: turns a result into the (H, W, 3) RGB picture to show; `overlay.draw` when omitted.

    Raises:
        OutputError: this installation cannot encode H.264.
        UsageError: a rate that is not within 0..1000.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction | None = None,
        names: Mapping[int, str] | None = None,
        *,
        draw: Callable[[FrameResult], ImageArray] | None = None,
    ) -> None:
        if rate is not None and not 0 < rate <= 1000:
            raise UsageError(
                f"The video's frame rate must be above 0 and at most 1000, but got {rate}. "
                f"Ask for another one."
            )
        _require_encoder()
        self._path = Path(path)
        self._waiting = beside(self._path, ".frames")
        self._draw = draw or Painter(names)
        self._rate = None if rate is None else Fraction(rate).limit_denominator(1_000_000)
        self._encoder: _Encoder | None = None
        self._shape: tuple[int, ...] = ()
        self._streamed: dict[int, int | None] = {}  # frame number -> ticks, in ascending order of both
        self._late: dict[int, int | None] = {}
        self._last = -1
        self._closed = self._failed = False

    def write(self, result: FrameResult) -> None:
        """Encodes the frame, or puts it aside if a later one was encoded already.

        Raises:
            OutputError: it cannot be written, its size differs from the first frame's, or the writer is
                closed.
        """
        self._check(result)
        ticks = None if result.time is None else round(result.time * _TICKS_PER_SECOND)
        image = self._draw(result)
        try:
            with _output_errors(self._path, "The video so far can be played."):
                self._take(result.index, ticks, image)
        except OutputError:
            self._failed = True
            raise

    def _take(self, index: int, ticks: int | None, image: ImageArray) -> None:
        if self._encoder is None:
            if self._rate is None and ticks is None:
                self._rate = _RATE_WITHOUT_TIMES
            self._encoder = _Encoder(self._path, image, self._rate)
        if index > self._last:
            self._encoder.add(image, ticks)
            self._streamed[index], self._last = ticks, index
        else:
            self._put_aside(index, image)
            self._late[index] = ticks

    def _check(self, result: FrameResult) -> None:
        if self._closed:
            raise OutputError(f"'{self._path}' is closed and takes no more results. Open a new writer.")
        self._shape = self._shape or result.image.shape
        if result.image.shape != self._shape:
            raise OutputError(
                f"All frames of a video must be of one size, here {self._shape[1]}x{self._shape[0]}, but "
                f"frame {result.index} is {result.image.shape[1]}x{result.image.shape[0]}. Write no video, "
                f"or make the images equal first."
            )

    def _put_aside(self, index: int, image: ImageArray) -> None:
        self._waiting.mkdir(exist_ok=True)
        with new_file(self._waiting / f"{frame_stem(index)}.jpg") as file:
            file.write(encode_jpeg(image, quality=97))

    def close(self) -> None:
        """Completes the file.

        Raises:
            OutputError: it cannot be completed; what is there can be played.
        """
        if self._closed:
            return
        self._closed = True
        if self._encoder is None or self._failed:
            return
        kept = "The video so far can be played, though players may not seek in it."
        if self._late:
            kept += f" Frames that came out of order are in '{self._waiting}'."
        with _output_errors(self._path, kept):
            self._encoder.finish()
            self._complete()

    def _complete(self) -> None:
        if not self._late:
            _rearrange(self._path, self._path)
            return
        merged = beside(self._path, ".merged")
        try:
            self._merge(merged)
            _rearrange(merged, self._path)
        finally:
            merged.unlink(missing_ok=True)
        for index in self._late:
            (self._waiting / f"{frame_stem(index)}.jpg").unlink()
        with suppress(OSError):  # a file of somebody else's in there
            self._waiting.rmdir()

    def _merge(self, merged: Path) -> None:
        ticks = self._streamed | self._late
        encoder: _Encoder | None = None
        streamed = _decoded(self._path)
        for index in sorted(ticks):
            image = next(streamed) if index in self._streamed else None
            if index in self._late:
                image = _read(self._waiting / f"{frame_stem(index)}.jpg")
            if image is not None:
                encoder = encoder or _Encoder(merged, image, self._rate)
                encoder.add(image, ticks[index])
        if encoder is not None:
            encoder.finish()


class _Encoder:
    """An H.264 stream in a fragmented MP4 file, each frame on disk as soon as it is encoded."""

    def __init__(self, path: Path, first: ImageArray, rate: Fraction | None) -> None:
        self._in_ticks = rate is None
        self._time_base = Fraction(1, _TICKS_PER_SECOND) if rate is None else 1 / rate
        self._gap = int(_TICKS_PER_SECOND / _NOMINAL_RATE) if rate is None else 1
        self._pts: int | None = None
        self._start: int | None = None
        self._path, self._whole = path, 0
        self._container = av.open(
            str(path),
            "w",
            format="mp4",
            options={"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"},
        )
        self._stream = self._container.add_stream(
            "libx264", rate=rate or _NOMINAL_RATE, options={"preset": "veryfast", "crf": "20", "bf": "0"}
        )
        context = self._stream.codec_context
        context.height, context.width = (side + side % 2 for side in first.shape[:2])
        context.pix_fmt = "yuv420p"
        context.gop_size = min(max(round(2 * (rate or _NOMINAL_RATE)), 10), 250)
        context.colorspace, context.color_range = Colorspace.ITU709.value, ColorRange.MPEG.value
        context.color_primaries, context.color_trc = _BT709, _BT709
        context.flags |= av.codec.context.Flags.frame_duration
        context.time_base = self._stream.time_base = self._time_base
        with self._abandoned_on_failure():
            self._container.start_encoding()

    def add(self, image: ImageArray, ticks: int | None) -> None:
        """Encodes the next frame, (H, W, 3) RGB; `ticks` is its time where times are kept."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE).astype(
                np.uint8
            )
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        pts = self._next_pts(ticks)
        if self._pts is not None:
            self._gap = pts - self._pts
        # The last frame is shown as long as the one before it.
        frame.pts, frame.duration, frame.time_base = pts, self._gap, self._time_base
        self._pts = pts
        with self._abandoned_on_failure():
            self._container.mux(self._stream.encode(frame))
            self._whole = self._path.stat().st_size

    def _next_pts(self, ticks: int | None) -> int:
        follows = 0 if self._pts is None else self._pts + 1
        if not self._in_ticks:
            return follows
        if ticks is None:
            return follows - 1 + self._gap if follows else 0
        if self._start is None:
            self._start = ticks - follows
        # Cameras repeat times; a file must not.
        return max(ticks - self._start, follows)

    def finish(self) -> None:
        """Writes the frames that the encoder still holds and closes the file."""
        with self._abandoned_on_failure():
            self._container.mux(self._stream.encode(None))
            self._container.close()

    @contextmanager
    def _abandoned_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError):
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Closes the file, cut to the part that is whole, or removed if there is none."""
        with suppress(OSError, av.FFmpegError):
            self._container.close()
        with suppress(OSError):
            if self._whole:
                os.truncate(self._path, self._whole)
            else:
                self._path.unlink()


def _require_encoder() -> None:
    try:
        av.Codec("libx264", "w")
    except (ValueError, av.FFmpegError) as error:
        raise OutputError(
            "Writing video needs the H.264 encoder libx264, but this build of PyAV has none. "
            "Install PyAV from PyPI (pip install av), or write without video."
        ) from error


@contextmanager
def _output_errors(path: Path, kept: str) -> Iterator[None]:
    with output_errors(path, kept):
        try:
            yield
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OutputError(
                f"Expected to encode '{path}', but it failed: {error}. Write without video, or report this. "
                f"{kept}"
            ) from error


def _rearrange(source: Path, target: Path) -> None:
    """Copies the stream into a plain MP4 file with the index in front, which replaces `target`."""
    new = beside(target, ".new")
    try:
        with (
            av.open(str(source)) as given,
            av.open(str(new), "w", format="mp4", options={"movflags": "faststart"}) as made,
        ):
            stream = given.streams.video[0]
            copy = made.add_stream_from_template(stream)
            for packet in given.demux(stream):
                if packet.dts is not None:
                    packet.stream = copy
                    made.mux(packet)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def _decoded(path: Path) -> Iterator[ImageArray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _read(path: Path) -> ImageArray:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise OutputError(f"Expected the frame put aside in '{path}', but it is gone. Track the video again.")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
