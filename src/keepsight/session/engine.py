"""The steps of tracking, as functions from tracks to tracks.

All objects and hypotheses of a step whose requests have the same layout go through the network as one
batch; nobody's answer depends on who else is in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.policy import MemoryPolicy, Pick, PolicyState
from keepsight.nn.io import (
    ImageFeatures,
    MaskCandidates,
    MemoryBatch,
    MemoryView,
    PromptBatch,
    VideoNetwork,
)
from keepsight.session.clicks import Clicks
from keepsight.session.state import Answer, Prompted, Track
from keepsight.transforms import image_to_input, mask_to_input, points_to_input
from keepsight.types import ImageArray

__all__ = ["Engine"]

# Rows per network call: enough to fill a device, few enough to bound what one call allocates.
MAX_BATCH = 16
# Earlier logits are fed back within these bounds (SAM 2's predictor does so against overflow).
FEEDBACK_LIMIT = 32.0

S = TypeVar("S", bound=PolicyState)
T = TypeVar("T")


class _Request(NamedTuple):
    """One row for the network."""

    view: MemoryView | None
    points: Tensor | None  # (N, 2) pixels of the model input
    labels: Tensor | None  # (N,)
    earlier: Tensor | None  # (1, 4h, 4w) logits to be corrected

    @property
    def layout(self) -> tuple[tuple[int, int, int, int] | None, int, bool]:
        """What must agree for two requests to be rows of one batch."""
        view = None if self.view is None else self.view.layout
        return view, 0 if self.labels is None else len(self.labels), self.earlier is not None


class _Memory(NamedTuple):
    """One row for the memory encoder."""

    frame: int
    logits: Tensor  # (1, 4h, 4w)
    pointer: Tensor  # (C,)
    presence: float
    iou: float


class Engine(Generic[S]):
    """A network and a policy, joined.

    Args:
        network: computes; stateless.
        policy: decides; stateless.
    """

    def __init__(self, network: VideoNetwork, policy: MemoryPolicy[S]) -> None:
        self.network = network
        self.policy = policy

    def encode(self, image: ImageArray) -> ImageFeatures:
        """Runs the image encoder on one (H, W, 3) RGB frame."""
        return self.network.encode_image(image_to_input(image, self.network.input_spec, self.network.device))

    def advance(
        self, tracks: Mapping[int, Track[S]], index: int, features: ImageFeatures
    ) -> dict[int, Track[S]]:
        """Finds every object on a frame and remembers it; prompted frames keep their answers."""
        advanced = {i: _revisited(t, index) for i, t in tracks.items() if index in t.prompted}
        tracked = {i: t for i, t in tracks.items() if index not in t.prompted}
        views = {i: self.policy.recall(t.after, index) for i, t in tracked.items()}
        requests = [_Request(view, None, None, None) for i in tracked for view in views[i]]
        rows = iter(self._segment(features, requests))
        candidates = {i: _stacked([next(rows) for _ in views[i]]) for i in tracked}
        picks = {i: self.policy.choose(t.after, candidates[i]) for i, t in tracked.items()}
        # Hypotheses that agree pick the same; each pick is computed once.
        chosen = {i: {p: _picked(candidates[i], p, index) for p in picks[i]} for i in tracked}
        wanted = [m for i in tracked for p, m in chosen[i].items() if p.remember]
        entries = self._remember(features, wanted)
        for i, track in tracked.items():
            advanced[i] = self._tracked(track, picks[i], chosen[i], entries)
        return {i: advanced[i] for i in tracks}

    def prompt(
        self,
        tracks: Mapping[int, Track[S]],
        index: int,
        features: ImageFeatures,
        clicks: Mapping[int, Clicks],
        *,
        forward: bool,
        feedback: bool = True,
    ) -> dict[int, Track[S]]:
        """Answers prompts on a frame; the answers become conditioning memory of their objects.

        Args:
            tracks: the objects so far; new ones join behind them.
            index: the frame's number.
            features: the frame.
            clicks: per object, all that has been said of it on this frame, earlier clicks included.
            forward: direction of tracking, for objects that are new.
            feedback: whether a further prompt on a frame builds on what was answered there: that mask is fed
                back, and memory is read where tracking came by (SAM 2's predictor). If not, each answer is
                made anew from all that was said, and from memory only where the first of it corrected
                tracking (transformers' port).
        """
        given = {i: c for i, c in clicks.items() if c.mask is not None}
        asked = {i: c for i, c in clicks.items() if c.mask is None}
        found = self._adopt(features, given) | self._ask(tracks, index, features, asked, feedback=feedback)
        memories = []
        for i in clicks:
            best = int(found[i].ious[0].argmax())
            memories.append(_picked(found[i], Pick(0, best), index))
        entries = self._remember(features, memories, prompted=True)
        prompted = {}
        for i, memory in zip(clicks, memories, strict=True):
            tracked = _corrects(tracks.get(i), index, feedback=feedback)
            answer = Answer(index, memory.logits, memory.iou, memory.presence, tracked)
            track = tracks.get(i)
            prompted[i] = self._conditioned(
                track, Prompted(clicks[i], answer), next(entries), forward=forward
            )
        return {**tracks, **prompted}

    def _ask(
        self,
        tracks: Mapping[int, Track[S]],
        index: int,
        features: ImageFeatures,
        clicks: Mapping[int, Clicks],
        *,
        feedback: bool,
    ) -> dict[int, MaskCandidates]:
        """Asks the mask decoder about points and boxes, with memory where an answer is corrected."""
        requests = []
        for i, click in clicks.items():
            track = tracks.get(i)
            view = None
            if track is not None and _corrects(track, index, feedback=feedback):
                state = track.after if track.before is None else track.before
                view = self.policy.recall(state, index)[0]
            earlier = _earlier(track, index) if feedback else None
            requests.append(self._request(click, view, earlier))
        return dict(zip(clicks, self._segment(features, requests), strict=True))

    def _request(self, clicks: Clicks, view: MemoryView | None, earlier: Tensor | None) -> _Request:
        xy, labels = clicks.as_points()
        device = self.network.device
        points = points_to_input(xy, clicks.size, self.network.input_spec, device)
        return _Request(view, points, torch.from_numpy(labels).to(device), earlier)

    def _adopt(self, features: ImageFeatures, clicks: Mapping[int, Clicks]) -> dict[int, MaskCandidates]:
        spec, device = self.network.input_spec, self.network.device
        masks = [mask_to_input(c.mask, spec, device) for c in clicks.values() if c.mask is not None]
        rows = [
            row
            for chunk in _chunks(masks)
            for row in _rows(self.network.adopt_mask(features, torch.cat(tuple(chunk))))
        ]
        return dict(zip(clicks, rows, strict=True))

    def _segment(self, features: ImageFeatures, requests: Sequence[_Request]) -> list[MaskCandidates]:
        """One row of candidates per request, in their order."""
        answers: dict[int, MaskCandidates] = {}
        layouts: dict[object, list[int]] = {}
        for number, request in enumerate(requests):
            layouts.setdefault(request.layout, []).append(number)
        for numbers in layouts.values():
            for chunk in _chunks(numbers):
                found = self._segment_batch(features, [requests[n] for n in chunk])
                answers.update(zip(chunk, _rows(found), strict=True))
        return [answers[n] for n in range(len(requests))]

    def _segment_batch(self, features: ImageFeatures, requests: Sequence[_Request]) -> MaskCandidates:
        views = [r.view for r in requests if r.view is not None]
        memory = MemoryBatch.stack(views) if views else None
        prompts, count = None, 0
        points = [r.points for r in requests if r.points is not None]
        labels = [r.labels for r in requests if r.labels is not None]
        earlier = [r.earlier for r in requests if r.earlier is not None]
        if points:
            count = len(labels[0])
            prompts = PromptBatch(
                torch.stack(points), torch.stack(labels), torch.stack(earlier) if earlier else None
            )
        return self.network.segment(
            features,
            memory,
            prompts,
            # One click, or none, may mean several things; two or more, or a box, mean one (SAM 2, D.2.3).
            multimask=count <= 1,
            presence_threshold=self.policy.presence_threshold,
        )

    def _remember(
        self, features: ImageFeatures, memories: Sequence[_Memory], *, prompted: bool = False
    ) -> Iterator[MemoryEntry]:
        """Encodes masks into memory, one entry per mask in their order."""
        for chunk in _chunks(memories):
            logits = torch.stack([m.logits for m in chunk])
            presence = torch.tensor([[m.presence] for m in chunk], device=logits.device)
            maps = self.network.encode_memory(features, logits, presence, prompted=prompted)
            for memory, tokens in zip(chunk, maps, strict=True):
                yield MemoryEntry(memory.frame, memory.pointer, memory.presence, memory.iou, tokens.clone())

    def _tracked(
        self,
        track: Track[S],
        picks: Sequence[Pick],
        chosen: Mapping[Pick, _Memory],
        entries: Iterator[MemoryEntry],
    ) -> Track[S]:
        made = {
            pick: next(entries) if pick.remember else MemoryEntry(m.frame, m.pointer, m.presence, m.iou, None)
            for pick, m in chosen.items()
        }
        after = self.policy.remember(
            track.after, picks, [made[p] for p in picks], [chosen[p].logits for p in picks]
        )
        best = chosen[picks[0]]
        answer = Answer(best.frame, best.logits, best.iou, best.presence, tracked=True)
        return Track(track.after, after, answer, track.prompted)

    def _conditioned(
        self, track: Track[S] | None, prompted: Prompted, entry: MemoryEntry, *, forward: bool
    ) -> Track[S]:
        frame = prompted.answer.frame
        before = None
        if track is not None:
            before = track.before if track.answer.frame == frame else track.after
        bank = before.bank if before is not None else MemoryBank(forward=forward)
        after = self.policy.begin(
            bank.with_conditioning(entry), prompted.answer.logits, ambiguous=prompted.clicks.ambiguous
        )
        earlier = {} if track is None else track.prompted
        return Track(before, after, prompted.answer, {**earlier, frame: prompted})


def _corrects(track: Track[S] | None, index: int, *, feedback: bool) -> bool:
    """Whether a prompt on this frame corrects what tracking found there."""
    if track is None or track.answer.frame != index:
        return False
    said = None if feedback else track.prompted.get(index)
    return track.answer.tracked if said is None else said.answer.tracked


def _earlier(track: Track[S] | None, index: int) -> Tensor | None:
    """The logits last answered on this frame, to be fed back."""
    if track is None or track.answer.frame != index:
        return None
    return track.answer.logits.clamp(-FEEDBACK_LIMIT, FEEDBACK_LIMIT)


def _revisited(track: Track[S], index: int) -> Track[S]:
    """A track at one of its prompted frames: what was answered there stands."""
    said = track.prompted[index].answer
    answer = Answer(said.frame, said.logits, said.iou, said.presence, tracked=True)
    return Track(track.after, track.after, answer, track.prompted)


def _picked(candidates: MaskCandidates, pick: Pick, index: int) -> _Memory:
    # Cloned, so that one object's memory does not keep the whole batch's alive.
    return _Memory(
        frame=index,
        logits=candidates.logits[pick.view, pick.mask][None].clone(),
        pointer=candidates.pointers[pick.view, pick.mask].clone(),
        presence=float(candidates.presence[pick.view, 0]),
        iou=float(candidates.ious[pick.view, pick.mask]),
    )


def _rows(candidates: MaskCandidates) -> list[MaskCandidates]:
    """Splits a batch; scores come to the CPU once for all of it, since policies decide on them there."""
    on_cpu = candidates._replace(ious=candidates.ious.cpu(), presence=candidates.presence.cpu())
    return [MaskCandidates(*(t[i : i + 1] for t in on_cpu)) for i in range(len(on_cpu.ious))]


def _stacked(rows: Sequence[MaskCandidates]) -> MaskCandidates:
    if len(rows) == 1:
        return rows[0]
    return MaskCandidates(*(torch.cat(tensors) for tensors in zip(*rows, strict=True)))


def _chunks(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[i : i + MAX_BATCH] for i in range(0, len(items), MAX_BATCH))
