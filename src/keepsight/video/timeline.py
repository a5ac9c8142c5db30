"""Which frame is shown when: the table that makes access by frame number exact."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from keepsight.video.reel import Reel, StreamError

__all__ = ["Timeline"]


@dataclass(frozen=True)
class Timeline:
    """The time stamps of all frames of one video file.

    Attributes:
        count: the number of frames that can be decoded.
        stamps: presentation times in units of the stream, one per frame, rising; empty where the
            container has none, and frames can only be found by counting from the first.
        keyframes: numbers of the frames at which decoding can begin, rising; the first is 0.
        damage: why the file ends early, or None.
    """

    count: int
    stamps: Sequence[int]
    keyframes: Sequence[int]
    damage: str | None = None

    @classmethod
    def of(cls, reel: Reel) -> Timeline | None:
        """Read it off the packets, which takes no decoding; None where these do not tell for certain."""
        if not reel.frame_per_packet:
            return None
        stamps: list[int] = []
        keys: list[int] = []
        damage: str | None = None
        try:
            for packet in reel.packets():
                if packet.pts is None or not (keys or packet.is_keyframe):
                    return None
                if packet.is_keyframe:
                    keys.append(packet.pts)
                if not packet.is_discard:
                    stamps.append(packet.pts)
        except StreamError as broken:
            damage = str(broken)
            stamps = list(filter(broken.is_certain, stamps))
        stamps.sort()
        if not stamps or len(set(stamps)) < len(stamps) or stamps[0] < keys[0]:
            return None
        numbers = sorted({0, *(bisect_left(stamps, key) for key in keys)})
        return cls(len(stamps), stamps, [n for n in numbers if n < len(stamps)], damage)

    @classmethod
    def by_decoding(cls, reel: Reel) -> Timeline:
        """Decode every frame once, keeping only its time: slow, and right for any file."""
        stamps: list[int | None] = []
        keyframes = [0]
        damage: str | None = None
        try:
            for number, frame in enumerate(reel.decode()):
                stamps.append(frame.pts)
                if frame.key_frame and number:
                    keyframes.append(number)
        except StreamError as broken:
            damage = str(broken)
        known = [stamp for stamp in stamps if stamp is not None]
        if len(known) < len(stamps) or any(b <= a for a, b in pairwise(known)):
            return cls(len(stamps), (), (0,), damage)
        return cls(len(stamps), known, keyframes, damage)

    def keyframe_before(self, number: int) -> int:
        """The last frame at or before `number` at which decoding can begin."""
        return self.keyframes[max(bisect_right(self.keyframes, number) - 1, 0)]

    def keyframe_within(self, start: int, stop: int) -> int | None:
        """The first frame of `range(start, stop)` at which decoding can begin, or None."""
        place = bisect_left(self.keyframes, start)
        return self.keyframes[place] if place < len(self.keyframes) and self.keyframes[place] < stop else None

    def keyframes_back_from(self, number: int) -> Iterator[int]:
        """The frames to seek to for decoding `number`, nearest first; frame 0 needs no seeking."""
        if self.stamps:
            place = bisect_right(self.keyframes, number)
            yield from (key for key in reversed(self.keyframes[:place]) if key)

    def number_of(self, stamp: int | None) -> int | None:
        """The frame shown at `stamp`, or None if there is none."""
        if stamp is None:
            return None
        number = bisect_left(self.stamps, stamp)
        return number if number < len(self.stamps) and self.stamps[number] == stamp else None
