"""One open container: its packets, its decoder, and where in the file it stands."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keepsight.errors import SourceError
from keepsight.types import ImageArray
from keepsight.video.orientation import Orientation

__all__ = ["Reel", "StreamError", "Upright"]

_LOSSY_FORMATS = frozenset({"mpegts", "rtsp", "sdp", "rtp", "hls"})
"""Formats made for lines that lose packets: a damaged packet is their everyday, not their end."""


_BOXES = frozenset({b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"styp", b"uuid"})


class StreamError(Exception):
    """The stream cannot be followed further; callers know the frame number and make it a SourceError.

    Attributes:
        last_dts: decoding time of the last sound packet. No lost packet is shown earlier than this.
    """

    def __init__(self, reason: str, last_dts: int | None = None) -> None:
        super().__init__(reason)
        self.last_dts = last_dts

    def is_certain(self, stamp: int | None) -> bool:
        """Whether no lost packet can be shown before `stamp`."""
        return stamp is not None and self.last_dts is not None and stamp <= self.last_dts


class Reel:
    """A container opened for decoding its video stream; closes with its `with` block.

    Args:
        location: path or URL.
        name: what messages call it.
        timeout: seconds that opening and each read may take; None waits for ever.
        live: pass over what a bad line has damaged instead of stopping there.

    Raises:
        SourceError: it cannot be opened or has no video stream.
    """

    def __init__(self, location: str, name: str, *, timeout: float | None = None, live: bool = False) -> None:
        self._location, self._live = location, live
        try:
            # Over UDP, RTSP loses whole slices; servers that refuse TCP are asked again over UDP.
            options = {"rtsp_flags": "prefer_tcp"} if location.lower().startswith("rtsp") else {}
            self._container: InputContainer = av.open(location, mode="r", options=options, timeout=timeout)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(_cannot_open(name, error)) from error
        self._at_start = True
        streams = [s for s in self._container.streams.video if not _is_cover(s)]
        # FFmpeg would show any text file as a film of its letters.
        if not streams or self._container.format.name == "tty":
            self._container.close()
            raise SourceError(
                f"Expected a video, but no video stream is found in {name}. Give a video file; one that was "
                f"cut off may have lost its index."
            )
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"

    def __enter__(self) -> Reel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and the decoder."""
        self._container.close()

    @property
    def time_base(self) -> Fraction | None:
        """Seconds per unit of the frames' time stamps."""
        return self._stream.time_base

    @property
    def average_rate(self) -> Fraction | None:
        """Frames per second over the whole stream, as the container's times give it."""
        return self._stream.average_rate or None

    @property
    def guessed_rate(self) -> Fraction | None:
        """Frames per second by the codec's own word, for streams that carry no times."""
        return self._stream.guessed_rate or None

    @property
    def bounded(self) -> bool:
        """Whether the container knows how long it lasts."""
        return bool(self._container.duration)

    @property
    def stated_frames(self) -> int | None:
        """The number of frames shown, where the container's index states it (MP4, QuickTime)."""
        if "mov" not in self._container.format.name or not self._stream.frames:
            return None
        return sum(not entry.is_discard for entry in self._stream.index_entries) or None

    @property
    def frame_per_packet(self) -> bool:
        """Whether every packet is one shown frame; VP8 hides frames, AVI fills gaps with empty ones."""
        return self._stream.codec_context.name != "vp8" and self._container.format.name != "avi"

    def seek(self, stamp: int) -> None:
        """Go to a keyframe at or before `stamp`, if the container can; `decode` resumes at a keyframe.

        Raises:
            StreamError: the container cannot.
        """
        self._at_start = False
        try:
            self._container.seek(stamp, stream=self._stream)
        except (av.FFmpegError, OSError) as error:
            raise StreamError(str(error.strerror)) from error

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets from here on, each whole.

        Raises:
            StreamError: the file breaks off, or cannot be read further.
        """
        seen, last_dts = 0, None
        lossy = self._live or self._container.format.name in _LOSSY_FORMATS
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:
                    continue
                if packet.is_corrupt and not lossy:
                    raise StreamError("the file breaks off in the middle of a frame", last_dts)
                seen += 1
                last_dts = last_dts if packet.dts is None else packet.dts
                yield packet
        except (av.FFmpegError, OSError) as error:
            raise StreamError(_reason(error), last_dts) from error
        if self._breaks_off_after(seen):
            raise StreamError("the file is shorter than it says it is", last_dts)

    def decode(self) -> Generator[VideoFrame, None, None]:
        """The decoded frames from here on, in the order in which they are shown.

        After a seek, packets before the first keyframe are passed over, and frames shown before it
        dropped: they lean on frames that were not decoded.

        Raises:
            StreamError: as `packets`, or the decoder gave up; after every frame whose place is certain.
        """
        earliest: int | None = None
        waiting = not self._at_start
        broken: StreamError | None = None
        try:
            for packet in self.packets():
                if waiting and not packet.is_keyframe:
                    continue
                if waiting:
                    waiting, earliest = False, packet.pts
                yield from _shown_from(earliest, self._feed(packet))
        except StreamError as error:
            broken = error
        for frame in _shown_from(
            earliest, self._feed(None) if broken is None or broken.last_dts is not None else []
        ):
            if broken is None or broken.is_certain(frame.pts):
                yield frame
        if broken is not None:
            raise broken

    def _feed(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        try:
            return self._stream.decode(packet)
        except (av.FFmpegError, OSError) as error:
            if self._live:
                return []
            raise StreamError(_reason(error)) from error

    def _breaks_off_after(self, seen: int) -> bool:
        indexed = sum(entry.size > 0 for entry in self._stream.index_entries)
        return (self._at_start and seen < indexed) or _is_cut_short(self._location)


class Upright:
    """Turns the frames of one stream upright, as their display matrix says.

    PyAV ties a frame whose side data was read to itself, so that its pixels stay until the garbage collector
    comes round: more than a hundred MiB of film. The matrix is therefore read on the first frame and where
    its rotation changes, and holds in between.
    """

    def __init__(self) -> None:
        # One attribute, so that threads that read the same source never see half of a change.
        self._known: tuple[float, Orientation] | None = None

    def rgb(self, frame: VideoFrame) -> ImageArray:
        """The frame as (H, W, 3) uint8 RGB.

        The frame's own colour matrix and range are used; where it states none, BT.601 limited range, as
        FFmpeg assumes. Pixels are taken as square.
        """
        known, rotation = self._known, frame.rotation
        if known is None or known[0] != rotation:
            self._known = known = (rotation, _orientation(frame))
        return known[1].apply(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8))


def _orientation(frame: VideoFrame) -> Orientation:
    side_data = cast(SideDataContainer, frame.side_data)  # PyAV's stub names motion vectors only.
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    return Orientation.from_display_matrix(bytes(side_data["DISPLAYMATRIX"]))


def _shown_from(earliest: int | None, frames: list[VideoFrame]) -> list[VideoFrame]:
    return [f for f in frames if earliest is None or (f.pts is not None and f.pts >= earliest)]


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_cut_short(location: str) -> bool:
    """Whether a Matroska, AVI or MP4 file ends before one of its outermost elements does.

    FFmpeg takes such an end for a regular one. Sources: RFC 9559 section 5.1 (Segment), RFC 8794 section 4
    (sizes; all ones means unknown), the RIFF chunk header, and ISO/IEC 14496-12 section 4.2 (boxes).
    """
    path = Path(location)
    if not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:4] == b"RIFF":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if head[4:8] == b"ftyp":
        return _ends_in_a_box(path, size)
    segment = head.find(b"\x18\x53\x80\x67") + 4
    if head[:4] != b"\x1a\x45\xdf\xa3" or segment < 4 or segment >= len(head) or not head[segment]:
        return False
    width = 9 - head[segment].bit_length()
    stated = int.from_bytes(head[segment : segment + width], "big") & ((1 << 7 * width) - 1)
    unknown = stated == (1 << 7 * width) - 1
    return not unknown and segment + width + stated > size


def _ends_in_a_box(path: Path, size: int) -> bool:
    place = 0
    with path.open("rb") as file:
        while place + 16 <= size:
            file.seek(place)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            # Length 0 means up to the end; anything unknown here may be rubbish behind the film.
            if length < 8 or (place and head[4:8] not in _BOXES):
                return False
            place += length
    return place > size


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _cannot_open(name: str, error: Exception) -> str:
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return (
            f"Expected a video, but {name} is not one, or its beginning or index is missing. Check the file."
        )
    return f"Expected a video, but {name} cannot be opened: {_reason(error)}. Check that it is readable."
