"""SAM2Long: several accounts of the past, as long as it is unclear which is true (Ding et al. 2024).

Written from the paper (2410.16268) and the project's notes. Differences from the published program, which
handles one object, one prompt, forward, over a whole video in memory: any number of prompts, any start and
direction; accounts that are still the same are one account, computed once; the past is bounded, since the
scan over it keeps what it can ever find; it streams, and says afterwards what it would now answer instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import torch
from torch import Tensor

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.latest import LatestPolicy, LatestState
from keepsight.memory.policy import Pick, Revision
from keepsight.nn.io import MaskCandidates, MemoryView

__all__ = ["Pathway", "Sam2LongPolicy", "Sam2LongState"]

IOU_FLOOR = 1e-5  # keeps the logarithm finite
# Keys of less certain frames are weakened, of more certain ones strengthened, by at most this much.
WEAKEST, STRONGEST = 0.95, 1.05
PROMPTED_WEIGHT = 10.0  # a presence logit that hardly any tracked frame reaches


@dataclass(frozen=True, eq=False)
class Pathway:
    """One account of an object's past.

    Attributes:
        bank: its memory.
        score: the sum of its masks' log predicted IoUs.
        trail: where it differs from what was answered at the time.
    """

    bank: MemoryBank
    score: float = 0.0
    trail: tuple[Revision, ...] = ()


@dataclass(frozen=True, eq=False)
class Sam2LongState:
    """One object.

    Attributes:
        paths: the accounts that differ, the best first.
        shares: which account each of the pathways follows, as indices into `paths`.
    """

    paths: tuple[Pathway, ...]
    shares: tuple[int, ...]

    @property
    def bank(self) -> MemoryBank:
        """The memory of the best account."""
        return self.paths[0].bank


@dataclass(frozen=True)
class Sam2LongPolicy:
    """A tree of memory pathways of bounded width.

    Args:
        num_pathway: how many pathways are kept.
        iou_threshold: predicted IoU above which a frame's memory is recalled, if the object is present.
        uncertainty: presence logit up to which, either way, a frame is unclear; then pathways must differ.
        presence_threshold: presence logit above which an object's masks and pointers count.
        maps: how many maps of tracked frames are recalled.
        pointers: how many object pointers of tracked frames are recalled.
        max_conditioning: how many prompted frames are recalled, the closest in time; None for all.
        hindsight_frames: how many frames back an answer may still be revised; None for all of the video,
            at the price of memory that grows with what is revised.
        reference_quirks: as the published program does, leave the oldest pointer out, and weaken the prompt's
            pointer where it is the only one.
    """

    num_pathway: int = 3
    iou_threshold: float = 0.1
    uncertainty: float = 2.0
    presence_threshold: float = 0.0
    maps: int = 6
    pointers: int = 15
    max_conditioning: int | None = None
    hindsight_frames: int | None = 300
    reference_quirks: bool = False

    def begin(self, bank: MemoryBank, mask: Tensor, *, ambiguous: bool) -> Sam2LongState:
        """Starts an object with one account of it; a correction settles all that lies before."""
        return Sam2LongState((Pathway(bank),), (0,) * self.num_pathway)

    def recondition(self, state: Sam2LongState, conditioning: Sequence[MemoryEntry]) -> Sam2LongState:
        """Replaces the prompted frames in every account; see `MemoryPolicy.recondition`."""
        paths = (replace(p, bank=p.bank.with_only_conditioning(conditioning)) for p in state.paths)
        return replace(state, paths=tuple(paths))

    def recall(self, state: Sam2LongState, frame: int) -> Sequence[MemoryView]:
        """One view per account: prompts, then the newest frames in which the object was seen, by rank."""
        return [self._view(path.bank, frame) for path in state.paths]

    def choose(self, state: Sam2LongState, candidates: MaskCandidates) -> Sequence[Pick]:
        """One pick per pathway, the highest cumulative score first.

        Where presence is clear the best candidates are taken, though they may be the same; where it is not,
        candidates must differ in predicted IoU, and every pathway has a say before one has two.
        """
        if not state.bank.recent:  # The first tracked frame; all pathways begin with its best mask.
            return [Pick(view=0, mask=int(candidates.ious[0].argmax()))] * self.num_pathway
        presence, ious = candidates.presence[:, 0].tolist(), candidates.ious.tolist()
        scored = [
            (_score(state.paths[view], iou), way, Pick(view, mask))
            for way, view in enumerate(state.shares)
            for mask, iou in enumerate(ious[view])
        ]
        scored.sort(key=lambda candidate: -candidate[0])
        if max(map(abs, presence)) > self.uncertainty:
            return [pick for _, _, pick in scored[: self.num_pathway]]
        return self._diverse([(way, pick) for _, way, pick in scored], presence, ious)

    def remember(
        self,
        state: Sam2LongState,
        picks: Sequence[Pick],
        entries: Sequence[MemoryEntry],
        masks: Sequence[Tensor],
    ) -> Sam2LongState:
        """Carries every pathway on; those that pick the same of the same stay one account."""
        first = not state.bank.recent
        grown: dict[Pick, Pathway] = {}
        for pick, entry, mask in zip(picks, entries, masks, strict=True):
            if pick not in grown:
                parent = state.paths[pick.view]
                score = 0.0 if first else _score(parent, entry.iou)
                trail = self._trail(parent, entry, mask, answered=pick == picks[0])
                grown[pick] = Pathway(self._remembering(parent.bank, entry), score, trail)
        places = {pick: place for place, pick in enumerate(grown)}
        return Sam2LongState(tuple(grown.values()), tuple(places[pick] for pick in picks))

    def hindsight(self, state: Sam2LongState) -> Sequence[Revision]:
        """Where the best account by now differs from what was answered at the time."""
        return state.paths[0].trail

    def _diverse(
        self, ranked: Sequence[tuple[int, Pick]], presence: Sequence[float], ious: Sequence[Sequence[float]]
    ) -> list[Pick]:
        """Accepts candidates of distinct signed, rounded predicted IoU; fills up with unheard pathways."""
        accepted: list[tuple[int, Pick]] = []
        seen: set[float] = set()
        for way, pick in ranked:
            quality = ious[pick.view][pick.mask]
            signed = round(quality if presence[pick.view] > 0 else -quality, 2)
            if signed not in seen and len(accepted) < self.num_pathway:
                seen.add(signed)
                accepted.append((way, pick))
        for way in range(self.num_pathway):
            heard = any(other == way for other, _ in accepted)
            if not heard and len(accepted) < self.num_pathway:
                accepted.append(next(candidate for candidate in ranked if candidate[0] == way))
        return [pick for _, pick in accepted]

    def _view(self, bank: MemoryBank, frame: int) -> MemoryView:
        prompts = LatestPolicy(max_conditioning=self.max_conditioning)
        (prompted,) = prompts.recall(LatestState(replace(bank, recent=())), frame)
        valid = bank.trusted(frame, self._seen, self.pointers)
        if not valid:
            return prompted
        newest = [e for e in valid if e.map is not None][-self.maps :]
        pointing = valid[::-1][: self.pointers]
        if self.reference_quirks:
            pointing = pointing[: len(valid) - 1]
        return MemoryView(
            maps=(*prompted.maps, *(e.map for e in newest if e.map is not None)),
            ages=(*prompted.ages, *range(len(newest), 0, -1)),
            pointers=(*prompted.pointers, *(e.pointer for e in pointing)),
            offsets=(*prompted.offsets, *range(1, len(pointing) + 1)),
            map_scales=_scales(len(prompted.maps), newest),
            pointer_scales=_scales(len(prompted.pointers), pointing, lone=self.reference_quirks),
        )

    def _remembering(self, bank: MemoryBank, entry: MemoryEntry) -> MemoryBank:
        seen = [e.frame for e in (*bank.recent, entry) if self._seen(e)]
        return bank.with_recent(entry, maps=seen[-self.maps :], pointers=seen[-self.pointers :])

    def _seen(self, entry: MemoryEntry) -> bool:
        return entry.iou > self.iou_threshold and entry.presence > 0

    def _trail(
        self, parent: Pathway, entry: MemoryEntry, mask: Tensor, *, answered: bool
    ) -> tuple[Revision, ...]:
        trail = parent.trail
        if not answered:
            trail = (*trail, Revision(entry.frame, mask.cpu(), entry.iou, entry.presence))
        if self.hindsight_frames is None:
            return trail
        near = parent.bank.reach(entry.frame, self.hindsight_frames)
        return tuple(revision for revision in trail if revision.frame in near)


def _score(path: Pathway, iou: float) -> float:
    return path.score + log(iou + IOU_FLOOR)


def _scales(prompted: int, tracked: Sequence[MemoryEntry], *, lone: bool = False) -> tuple[float, ...]:
    """A factor per frame: weakest for the least certain presence, strongest for the prompts."""
    certainty = torch.tensor([PROMPTED_WEIGHT] * prompted + [e.presence for e in tracked])
    if len(certainty) == 1 and not lone:
        return (1.0,)
    ranks = certainty.argsort(stable=True).argsort()
    factors: list[float] = torch.linspace(WEAKEST, STRONGEST, len(certainty))[ranks].tolist()
    return tuple(factors)
