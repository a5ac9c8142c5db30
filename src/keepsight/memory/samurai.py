"""SAMURAI: masks chosen with an eye on motion, memory of frames that can be trusted (Yang et al. 2024).

The rule of the published code, one filter per object, for any start, direction and number of prompts.
Differences from that code, all where it breaks: the filter belongs to the object's state instead of the
network; memory is chosen among the frames there are; a prompt given later starts the filter anew. Only the
last gated frames are kept, which recalls what the published scan over all of the past recalls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.kalman import (
    FloatArray,
    Motion,
    box_overlaps,
    expected_boxes,
    initiate,
    predict,
    update,
)
from keepsight.memory.latest import LatestPolicy, LatestState
from keepsight.memory.policy import Pick
from keepsight.nn.io import MaskCandidates, MemoryView
from keepsight.types import BoolArray

__all__ = ["SamuraiPolicy", "SamuraiState"]

# Boxes are taken at the resolution of the model input, four times that of mask logits.
MASK_STRIDE = 4
# The first frame and the one after it are recalled as prompt and as newest frame only, as published.
NEVER_GATED = 2


@dataclass(frozen=True, eq=False)
class SamuraiState:
    """One object.

    Attributes:
        bank: its memory; entries of gated frames keep their maps.
        gated: the frames whose memory is trusted.
        motion: of its box, in pixels of the model input; None until a mask was chosen freely.
        stable: for how many frames the filter has followed well, up to the threshold.
    """

    bank: MemoryBank
    gated: frozenset[int] = frozenset()
    motion: Motion | None = None
    stable: int = 0


@dataclass(frozen=True)
class SamuraiPolicy:
    """Chooses masks by predicted IoU and agreement with predicted motion, and memory by quality.

    Args:
        kf_score_weight: how much agreement with the predicted box counts beside predicted IoU; published are
            0.15 for the large network and 0.25 for the others; `make_policy` takes what the network asks for.
        stable_frames: after how many well-followed frames motion has a say.
        stable_iou: predicted IoU below which the filter starts anew.
        memory_iou: predicted IoU above which a frame's memory is trusted.
        memory_presence: presence logit above which it is.
        memory_motion: agreement with the predicted box above which it is, once motion has a say.
        presence_threshold: presence logit above which an object's masks and pointers count.
        maps: how many maps of tracked frames are recalled.
        pointers: how many frames back object pointers are recalled, trusted or not.
        max_conditioning: how many prompted frames are recalled, the closest in time; None for all.
    """

    kf_score_weight: float = 0.25
    stable_frames: int = 15
    stable_iou: float = 0.3
    memory_iou: float = 0.5
    memory_presence: float = 0.0
    memory_motion: float = 0.0
    presence_threshold: float = -1.0
    maps: int = 6
    pointers: int = 15
    max_conditioning: int | None = None

    def begin(self, bank: MemoryBank, mask: Tensor, *, ambiguous: bool) -> SamuraiState:
        """Starts an object; see `MemoryPolicy.begin`. A mask chosen among several starts the filter."""
        trusted = frozenset(e.frame for e in bank.recent if e.map is not None and self._trusts(e, None))
        if not ambiguous:
            return SamuraiState(bank, trusted)
        return SamuraiState(bank, trusted, initiate(_boxes(mask)[0]), 1)

    def recondition(self, state: SamuraiState, conditioning: Sequence[MemoryEntry]) -> SamuraiState:
        """Replaces the prompted frames; see `MemoryPolicy.recondition`."""
        return SamuraiState(
            state.bank.with_only_conditioning(conditioning), state.gated, state.motion, state.stable
        )

    def recall(self, state: SamuraiState, frame: int) -> Sequence[MemoryView]:
        """One view: prompts and pointers as under SAM 2's rule, but the newest trusted maps, by rank."""
        latest = LatestPolicy(pointers=self.pointers, max_conditioning=self.max_conditioning)
        (view,) = latest.recall(LatestState(state.bank), frame)
        prompted = [m for m, age in zip(view.maps, view.ages, strict=True) if age == 0]
        valid = state.bank.trusted(frame, lambda e: e.frame in state.gated, self.maps)
        newest = [e.map for e in valid[-self.maps :] if e.map is not None]
        ranks = range(len(newest), 0, -1)
        return [view._replace(maps=(*prompted, *newest), ages=(*(0 for _ in prompted), *ranks))]

    def choose(self, state: SamuraiState, candidates: MaskCandidates) -> Sequence[Pick]:
        """The mask of the highest predicted IoU, once stable weighed with its agreement with motion."""
        scores = candidates.ious[0]
        if state.motion is not None and self._motion_counts(state):
            assumed = expected_boxes(predict(state.motion))
            agreement = box_overlaps(assumed, _boxes(candidates.logits[0]))
            weight = self.kf_score_weight
            scores = weight * torch.from_numpy(agreement).to(scores.dtype) + (1 - weight) * scores
        return [Pick(view=0, mask=int(scores.argmax()))]

    def remember(
        self,
        state: SamuraiState,
        picks: Sequence[Pick],
        entries: Sequence[MemoryEntry],
        masks: Sequence[Tensor],
    ) -> SamuraiState:
        """Moves the filter on and trusts the frame or not."""
        entry = entries[0]
        box = _boxes(masks[0])[0]
        agreement, motion, stable = self._follow(state, entry, box)
        first = self._is_early(state.bank, entry)
        gated = state.gated if first or not self._trusts(entry, agreement) else state.gated | {entry.frame}
        ordered = [e.frame for e in (*state.bank.recent, entry) if e.frame in gated]
        newest = frozenset(ordered[-self.maps :])
        near = state.bank.reach(entry.frame, self.pointers)
        bank = state.bank.with_recent(entry, maps=newest, pointers=newest | {*near})
        return SamuraiState(bank, newest, motion, stable)

    def _follow(
        self, state: SamuraiState, entry: MemoryEntry, box: FloatArray
    ) -> tuple[float | None, Motion, int]:
        """Agreement of a chosen mask's box with motion (None while it has no say), filter, stable frames."""
        if state.motion is None or state.stable == 0:
            return None, initiate(box), 1
        assumed = predict(state.motion)
        agreement = None
        if self._motion_counts(state):
            agreement = float(box_overlaps(expected_boxes(assumed), box))
            followed = entry.iou >= self.stable_iou
        else:
            followed = entry.iou > self.stable_iou
        if not followed:
            return agreement, assumed, 0
        return agreement, update(assumed, box), min(state.stable + 1, self.stable_frames)

    def _motion_counts(self, state: SamuraiState) -> bool:
        return state.stable >= self.stable_frames

    def _trusts(self, entry: MemoryEntry, agreement: float | None) -> bool:
        moves_well = agreement is None or agreement > self.memory_motion
        return entry.iou > self.memory_iou and entry.presence > self.memory_presence and moves_well

    def _is_early(self, bank: MemoryBank, entry: MemoryEntry) -> bool:
        since = [bank.distance(entry.frame, prompted) for prompted in bank.conditioning]
        return 0 <= max(since, default=0) < NEVER_GATED


def _boxes(logits: Tensor) -> FloatArray:
    """Boxes (M, 4) of masks (M, 4h, 4w) at the model input's resolution; (0, 0, 0, 0) where empty.

    Right and bottom are the last pixel's own place, as published.
    """
    sharp = F.interpolate(logits[:, None], scale_factor=MASK_STRIDE, mode="bilinear", align_corners=False)
    marked = sharp[:, 0] > 0
    columns, rows = marked.any(dim=1).cpu().numpy(), marked.any(dim=2).cpu().numpy()
    return np.array([_span(c, r) for c, r in zip(columns, rows, strict=True)], dtype=np.float64)


def _span(columns: BoolArray, rows: BoolArray) -> tuple[int, int, int, int]:
    x, y = np.flatnonzero(columns), np.flatnonzero(rows)
    return (int(x[0]), int(y[0]), int(x[-1]), int(y[-1])) if len(x) else (0, 0, 0, 0)
