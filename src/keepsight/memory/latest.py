"""SAM 2's own memory rule: every prompted frame, the last six maps, the last fifteen pointers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.policy import Pick
from keepsight.nn.io import MaskCandidates, MemoryView

__all__ = ["LatestPolicy", "LatestState"]


@dataclass(frozen=True)
class LatestState:
    """The bank is all there is."""

    bank: MemoryBank


@dataclass(frozen=True)
class LatestPolicy:
    """Recalls by true distance in frames, skipping frames that were not tracked (SAM 2, section 4).

    Args:
        maps: how many frames back maps are recalled.
        pointers: how many frames back object pointers are recalled.
        max_conditioning: how many prompted frames are recalled, the closest in time; None for all.
            Those left out count as tracked frames.
    """

    maps: int = 6
    pointers: int = 15
    max_conditioning: int | None = None
    presence_threshold: float = 0.0

    def begin(self, bank: MemoryBank, mask: Tensor) -> LatestState:
        """Starts an object; see `MemoryPolicy.begin`."""
        return LatestState(bank)

    def recondition(self, state: LatestState, conditioning: Sequence[MemoryEntry]) -> LatestState:
        """Replaces the prompted frames; see `MemoryPolicy.recondition`."""
        return LatestState(state.bank.with_only_conditioning(conditioning))

    def recall(self, state: LatestState, frame: int) -> Sequence[MemoryView]:
        """One view: prompted frames at age 0, then tracked frames, oldest first."""
        bank = state.bank
        prompted, others = self._closest(bank, frame)
        tracked = {bank.distance(frame, e): e for e in (*others, *bank.recent)}
        maps = [(e.map, 0) for e in prompted]
        maps += [(tracked[age].map, age) for age in range(self.maps, 0, -1) if age in tracked]
        pointers = [(e.pointer, bank.distance(frame, e)) for e in prompted if bank.distance(frame, e) >= 0]
        pointers += [(tracked[age].pointer, age) for age in range(1, self.pointers + 1) if age in tracked]
        known = [(m, age) for m, age in maps if m is not None]
        return [
            MemoryView(
                maps=tuple(m for m, _ in known),
                ages=tuple(age for _, age in known),
                pointers=tuple(p for p, _ in pointers),
                offsets=tuple(offset for _, offset in pointers),
            )
        ]

    def choose(self, state: LatestState, candidates: MaskCandidates) -> Sequence[Pick]:
        """The mask of the highest predicted IoU."""
        return [Pick(view=0, mask=int(candidates.ious[0].argmax()))]

    def remember(
        self,
        state: LatestState,
        picks: Sequence[Pick],
        entries: Sequence[MemoryEntry],
        masks: Sequence[Tensor],
    ) -> LatestState:
        """Every tracked frame is remembered, present or not."""
        return LatestState(state.bank.with_recent(entries[0], maps=self.maps, pointers=self.pointers))

    def _closest(self, bank: MemoryBank, frame: int) -> tuple[Sequence[MemoryEntry], Sequence[MemoryEntry]]:
        """Splits the prompted frames into those recalled as such and the rest."""
        entries = bank.conditioning
        if self.max_conditioning is None or len(entries) <= self.max_conditioning:
            return entries, ()
        chosen = {e.frame for e in _nearest(entries, frame, self.max_conditioning)}
        return (
            [e for e in entries if e.frame in chosen],
            [e for e in entries if e.frame not in chosen],
        )


def _nearest(entries: Sequence[MemoryEntry], frame: int, count: int) -> Iterator[MemoryEntry]:
    """The closest before, the closest at or after, then whatever is closest."""
    before = [e for e in entries if e.frame < frame][-1:]
    after = [e for e in entries if e.frame >= frame][:1]
    sides = (before + after)[:count]
    rest = [e for e in entries if e not in sides]
    yield from sides
    yield from sorted(rest, key=lambda e: abs(e.frame - frame))[: count - len(sides)]
