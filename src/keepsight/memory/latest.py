"""SAM 2's own memory rule: every prompted frame, the last six maps, the last fifteen pointers.

And, for networks that ask for it, one map of an object that is gone: its last sighting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.policy import Pick
from keepsight.nn.io import MaskCandidates, MemoryView

__all__ = ["LatestPolicy", "LatestState"]

SIGHTED_IOU = 0.75  # predicted IoU above which a frame with the object shows it well


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
        presence_threshold: presence logit above which an object's masks and pointers count.
        recalls_sighting: whether, once the object was well seen on none of the frames in reach, the last one
            before on which it was takes the place of the oldest. SAM 2 has no such rule: of an object that is
            gone for long it remembers nothing but the prompt. For networks that ask for it.
    """

    maps: int = 6
    pointers: int = 15
    max_conditioning: int | None = None
    presence_threshold: float = 0.0
    recalls_sighting: bool = False

    def begin(self, bank: MemoryBank, mask: Tensor, *, ambiguous: bool) -> LatestState:
        """Starts an object; see `MemoryPolicy.begin`."""
        return LatestState(bank)

    def recondition(self, state: LatestState, conditioning: Sequence[MemoryEntry]) -> LatestState:
        """Replaces the prompted frames; see `MemoryPolicy.recondition`."""
        return LatestState(state.bank.with_only_conditioning(conditioning))

    def recall(self, state: LatestState, frame: int) -> Sequence[MemoryView]:
        """One view: prompted frames at age 0, the closest first, then tracked frames, oldest first."""
        bank = state.bank
        prompted, others = bank.closest_conditioning(frame, self.max_conditioning)
        tracked = {bank.distance(frame, e): e for e in (*others, *bank.recent)}
        maps = [(e.map, 0) for e in prompted]
        mapped = self._mapped(tracked)
        maps += [(e.map, age) for age, e in mapped.items()]
        pointers = [(e.pointer, bank.distance(frame, e)) for e in prompted if bank.distance(frame, e) >= 0]
        pointers += [(tracked[age].pointer, age) for age in range(1, self.pointers + 1) if age in tracked]
        known = [(m, age) for m, age in maps if m is not None]
        return [
            MemoryView(
                maps=tuple(m for m, _ in known),
                ages=tuple(age for _, age in known),
                pointers=tuple(p for p, _ in pointers),
                offsets=tuple(offset for _, offset in pointers),
                sightings=sum(bank.distance(frame, e) > self.maps for e in mapped.values()),
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
        bank, frame = state.bank, entries[0].frame
        last = [e.frame for e in (*bank.recent, entries[0]) if self._is_sighting(e)][-1:]
        kept = bank.with_recent(
            entries[0],
            maps={*bank.reach(frame, self.maps), *last},
            pointers={*bank.reach(frame, self.pointers), *last},
        )
        return LatestState(kept)

    def _mapped(self, tracked: Mapping[int, MemoryEntry]) -> dict[int, MemoryEntry]:
        """The tracked frames whose maps are recalled, by age, oldest first."""
        near = {age: tracked[age] for age in range(self.maps, 0, -1) if age in tracked}
        sighted = min((age for age, e in tracked.items() if age > 0 and self._is_sighting(e)), default=0)
        if sighted > self.maps:
            near.pop(self.maps, None)
            return {self.maps: tracked[sighted]} | near
        return near

    def _is_sighting(self, entry: MemoryEntry) -> bool:
        shown = entry.presence > self.presence_threshold and entry.iou > SIGHTED_IOU
        return self.recalls_sighting and shown and entry.map is not None
