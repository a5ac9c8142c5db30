"""The memory bank: what one object's past has left behind, as an immutable value.

Changing a bank makes a new one; entries are shared. So a fork is a second name, an undo an assignment.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

__all__ = ["MemoryBank", "MemoryEntry"]


@dataclass(frozen=True, eq=False)
class MemoryEntry:
    """One object on one frame, as memory.

    Attributes:
        frame: the frame's true number.
        pointer: (C,) object pointer.
        presence: presence logit; above 0 the object was in the frame.
        iou: predicted IoU of the mask, 0..1.
        map: (n, D) memory map, or None once it is too old to be recalled.
    """

    frame: int
    pointer: Tensor
    presence: float
    iou: float
    map: Tensor | None


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Conditioning frames, which a person prompted, and recent frames, which were tracked.

    Attributes:
        conditioning: entries of prompted frames, by frame number.
        recent: entries of tracked frames in the order of tracking, oldest first.
        forward: whether frames are tracked in ascending order.
    """

    conditioning: tuple[MemoryEntry, ...] = ()
    recent: tuple[MemoryEntry, ...] = ()
    forward: bool = True

    def distance(self, frame: int, entry: MemoryEntry) -> int:
        """How many frames before `frame`, in the order of tracking, the entry lies; negative if ahead."""
        return (frame - entry.frame) * (1 if self.forward else -1)

    def with_conditioning(self, entry: MemoryEntry) -> "MemoryBank":
        """Adds a prompted frame; it takes the place of whatever the bank held of that frame."""
        others = [e for e in self.conditioning if e.frame != entry.frame]
        return self.with_only_conditioning([*others, entry])

    def with_only_conditioning(self, entries: Iterable[MemoryEntry]) -> "MemoryBank":
        """The bank with these prompted frames instead of its own; they displace tracked ones."""
        conditioning = tuple(sorted(entries, key=lambda e: e.frame))
        prompted = {e.frame for e in conditioning}
        recent = tuple(e for e in self.recent if e.frame not in prompted)
        return replace(self, conditioning=conditioning, recent=recent)

    def reach(self, frame: int, count: int) -> range:
        """The frames that lie fewer than `count` frames before `frame` in the order of tracking, and it."""
        return range(frame - count + 1, frame + 1) if self.forward else range(frame, frame + count)

    def with_recent(
        self, entry: MemoryEntry, *, maps: Container[int], pointers: Container[int]
    ) -> "MemoryBank":
        """Adds a tracked frame and forgets what can no longer be recalled.

        Args:
            entry: the frame just tracked.
            maps: the frames whose maps may still be recalled; other entries lose theirs.
            pointers: the frames whose pointers may still be recalled; other entries go.
        """
        past = (e for e in self.recent if self.distance(entry.frame, e) > 0 and e.frame in pointers)
        kept = [e if e.frame in maps else replace(e, map=None) for e in past]
        return replace(self, recent=(*kept, entry))

    def trusted(self, frame: int, trust: Callable[[MemoryEntry], bool], most: int) -> list[MemoryEntry]:
        """The newest tracked frames that are trusted and, trusted or not, the frame before; oldest first.

        Args:
            frame: where tracking is.
            trust: whether a past frame is to be recalled at all.
            most: how many trusted frames.
        """
        past = [e for e in self.recent if self.distance(frame, e) > 0]
        chosen = [e for e in past if trust(e)][-most:]
        if past and past[-1] not in chosen and self.distance(frame, past[-1]) == 1:
            chosen.append(past[-1])
        return chosen

    def closest_conditioning(
        self, frame: int, most: int | None
    ) -> tuple[Sequence[MemoryEntry], Sequence[MemoryEntry]]:
        """Splits the prompted frames into the closest in time, closest first, and the rest in order.

        Args:
            frame: where tracking is.
            most: how many may be the closest; None for all.
        """
        nearest = _nearest(self.conditioning, frame, most)
        chosen = sorted(nearest, key=lambda e: (abs(e.frame - frame), e.frame))
        frames = {e.frame for e in chosen}
        return chosen, [e for e in self.conditioning if e.frame not in frames]


def _nearest(entries: Sequence[MemoryEntry], frame: int, count: int | None) -> list[MemoryEntry]:
    """The closest before, the closest at or after, then whatever is closest; all of them for None."""
    if count is None:
        return [*entries]
    before = [e for e in entries if e.frame < frame][-1:]
    after = [e for e in entries if e.frame >= frame][:1]
    sides = (before + after)[:count]
    rest = sorted((e for e in entries if e not in sides), key=lambda e: abs(e.frame - frame))
    return [*sides, *rest[: count - len(sides)]]
