"""Memory policies over the same frames, in turn: what they find, how long they take, what they keep."""

import multiprocessing
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

import keepsight as ks
from benchmarks.rendered_clips import EASY, FAMILIES, TARGET, RenderedClip, crowd, rendered_clip
from benchmarks.rendered_scene import RenderedFrame
from keepsight.evaluation import (
    Confidence,
    Found,
    MaskScore,
    MaskSequence,
    PackedMask,
    contour_accuracy,
    mean_figures,
    prompt_from_mask,
    region_iou,
    without_overlap,
)
from keepsight.nn.io import VideoNetwork
from keepsight.types import ObjectResult

__all__ = [
    "HINDSIGHT",
    "Footage",
    "Outcome",
    "davis",
    "measured_memory",
    "rendered",
    "rendered_crowd",
    "take_turns",
]

HINDSIGHT = " (hindsight)"  # marks what a policy says at the end of the clip
WARMUP = 8  # frames before timing; seven fill the memory
EARLY = 50  # frame from which memory should not grow any more

Truths = Mapping[int, PackedMask]


class Footage(NamedTuple):
    """One clip to follow objects through.

    Attributes:
        name: of the clip.
        family: what the mean is taken over.
        length: number of frames.
        easy: frames before anything difficult happens, or 0 where that is not known.
        frames: draws or reads them, from the first on.
    """

    name: str
    family: str
    length: int
    easy: int
    frames: Callable[[], Iterator[RenderedFrame]]


@dataclass(frozen=True)
class Outcome:
    """One clip's figures.

    Attributes:
        name: of the clip.
        family: what the mean is taken over.
        figures: by account (a policy as it streams, or in hindsight): J&F, J, F, presence AUC, easy J.
        seconds: by policy, of every frame after the warm-up.
        live: by policy that has hypotheses, how many differed on each of these frames (most of any object).
        kept_mib: by policy, the most that its state has held.
    """

    name: str
    family: str
    figures: dict[str, dict[str, float | None]]
    seconds: dict[str, list[float]]
    live: dict[str, list[int]]
    kept_mib: dict[str, float]


@dataclass(eq=False)
class _Run:
    """One policy on one clip."""

    policy: str
    session: ks.Session
    seconds: list[float] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
    kept: int = 0
    found: list[dict[int, Found]] = field(default_factory=list)

    def step(self, frame: RenderedFrame) -> None:
        """Takes a frame; the first brings the objects' true masks."""
        prompts = None
        if not self.found:
            prompts = {i: prompt_from_mask("mask", truth) for i, truth in frame.truths.items() if truth.any()}
        before = hypotheses(self.session)
        began = time.perf_counter()
        result = self.session.step(frame.image, prompts)
        self.seconds.append(time.perf_counter() - began)
        # A frame on which hypotheses part costs more already, one on which they meet still does.
        self.live.append(max(before, hypotheses(self.session)))
        self.found.append(packed(result))
        if len(self.found) % 10 == 0:
            self.kept = max(self.kept, held_bytes(self.session.snapshot()))


def rendered(kinds: Iterable[str], seeds: int, count: int) -> list[Footage]:
    """Rendered clips of several seeds, the first `count` frames of each; look-alikes are not followed."""
    families = {kind: family for family, known in FAMILIES.items() for kind in known}
    clips = [(families[kind], rendered_clip(kind, seed)) for kind in kinds for seed in range(seeds)]
    return [_footage(clip, family, count, (TARGET,)) for family, clip in clips]


def rendered_crowd(objects: int, count: int) -> Footage:
    """A rendered clip with many objects to follow."""
    return _footage(crowd(objects), f"{objects} objects", count, range(1, objects + 1))


def davis(sequences: Sequence[MaskSequence], count: int) -> list[Footage]:
    """Sequences of DAVIS."""

    def reader(sequence: MaskSequence) -> Callable[[], Iterator[RenderedFrame]]:
        def read() -> Iterator[RenderedFrame]:
            for index, path in enumerate(sequence.frames[:count]):
                yield RenderedFrame(np.asarray(Image.open(path).convert("RGB")), sequence.masks(index))

        return read

    return [Footage(s.name, "DAVIS", min(count, len(s.frames)), 0, reader(s)) for s in sequences]


def take_turns(network: VideoNetwork, policies: Sequence[str], footage: Footage) -> Outcome:
    """Runs policies frame by frame in turn, so that whatever disturbs the machine disturbs all of them."""
    runs = [_Run(policy, ks.Session(network, policy)) for policy in policies]
    truths: list[Truths] = []
    for index, frame in enumerate(footage.frames()):
        first = index % len(runs)
        for run in runs[first:] + runs[:first]:
            run.step(frame)
        truths.append({i: PackedMask.of(truth) for i, truth in frame.truths.items()})
    accounts = {run.policy: run.found for run in runs}
    several = [run for run in runs if max(run.live) > 0]
    accounts |= {run.policy + HINDSIGHT: revised(run) for run in several}
    later = slice(min(WARMUP, footage.length - 1), None)
    return Outcome(
        footage.name,
        footage.family,
        {account: figures(found, truths, footage.easy) for account, found in accounts.items()},
        {run.policy: [round(s, 5) for s in run.seconds[later]] for run in runs},
        {run.policy: run.live[later] for run in several},
        {run.policy: round(run.kept / 2**20, 2) for run in runs},
    )


def revised(run: _Run) -> list[dict[int, Found]]:
    """What a policy says of all frames once it has seen the last; its answers stand where it says nothing."""
    later = run.session.finish()
    return [_settled(found, later[i]) if i in later else found for i, found in enumerate(run.found)]


def _settled(found: dict[int, Found], later: Mapping[int, ObjectResult]) -> dict[int, Found]:
    """Later answers among those that stand: no pixel belongs to two objects."""
    standing = {
        i: ObjectResult(f.mask.unpacked(), f.score, f.presence, visible=True)
        for i, f in found.items()
        if f.mask is not None
    }
    return packed({**standing, **later})


def packed(objects: Mapping[int, ObjectResult]) -> dict[int, Found]:
    """What was found on a frame, disjoint as DAVIS demands and in little memory."""
    masks = without_overlap(objects)
    return {i: Found(PackedMask.of(masks[i]), None, o.score, o.presence) for i, o in objects.items()}


def figures(
    found: Sequence[Mapping[int, Found]], truths: Sequence[Truths], easy: int
) -> dict[str, float | None]:
    """Means over the objects; the AUC of presence only where some are absent at times."""
    scores = [score(i, found, truths) for i in found[0]]
    means = mean_figures(scores)
    confidence = Confidence.joined(s.confidence for s in scores)
    at_first = [value for s in scores for value in s.region[: easy - 1]] if easy > 1 else []
    return {
        **{name: round(means[name], 4) for name in ("J&F", "J", "F")},
        "presence AUC": confidence.presence_auc,
        "easy J": round(float(np.mean(at_first)), 4) if at_first else None,
    }


def score(number: int, found: Sequence[Mapping[int, Found]], truths: Sequence[Truths]) -> MaskScore:
    """One object's masks against the truth, the DAVIS way: neither the first frame nor the last counts."""
    pairs = [(f[number], t[number].unpacked()) for f, t in zip(found[1:], truths[1:], strict=True)]
    masks = [np.zeros_like(truth) if f.mask is None else f.mask.unpacked() for f, truth in pairs]
    region = [region_iou(mask, truth) for mask, (_, truth) in zip(masks, pairs, strict=True)]
    contour = [contour_accuracy(mask, truth) for mask, (_, truth) in zip(masks[:-1], pairs[:-1], strict=True)]
    confidence = Confidence(
        [f.score for f, _ in pairs],
        [f.presence for f, _ in pairs],
        region,
        [bool(truth.any()) for _, truth in pairs],
    )
    return MaskScore(region[:-1], contour, confidence)


def hypotheses(session: ks.Session) -> int:
    """How many live hypotheses differ, of the object with most; 0 where the policy knows no hypotheses."""
    states = [track.after for track in session.snapshot().tracks.values()]
    return max((len({id(path) for path in getattr(state, "paths", ())}) for state in states), default=0)


def held_bytes(value: Any) -> int:
    """Bytes of all distinct tensors, arrays and packed data that a value holds on to."""
    sizes: dict[int, int] = {}
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            # A view keeps all of its storage alive.
            storage = one.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray | bytes):
            sizes[id(one)] = one.nbytes if isinstance(one, np.ndarray) else len(one)
        else:
            waiting += _parts(one)
    return sum(sizes.values())


def measured_memory(model: str, device: str, policy: str, count: int) -> dict[str, float]:
    """Resident memory of one policy over a rendered clip, in a process of its own.

    Returns:
        In MiB: "peak", the most that was resident beyond the loaded model, and "growth", what was added from
        frame 50 on.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_track_alone, (model, device, policy, count))


def _track_alone(model: str, device: str, policy: str, count: int) -> dict[str, float]:
    network = ks.load_model(model, device=device)
    footage = rendered(["occluded"], 1, count)[0]
    next(footage.frames())
    session, early = ks.Session(network, policy), None
    # The kernel forgets the highest it has seen, which may have been while the model was loaded.
    Path("/proc/self/clear_refs").write_text("5")
    loaded = _resident_mib("VmRSS")
    for index, frame in enumerate(footage.frames()):
        session.step(frame.image, {i: ks.Mask(t) for i, t in frame.truths.items()} if index == 0 else None)
        if index == min(EARLY, footage.length - 1):
            early = _resident_mib("VmRSS")
    return {"peak": _resident_mib("VmHWM") - loaded, "growth": _resident_mib("VmRSS") - (early or loaded)}


def _parts(value: Any) -> list[Any]:
    if is_dataclass(value):
        return [getattr(value, part.name) for part in fields(value)]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, tuple | list) else []


def _resident_mib(kind: str) -> float:
    """Resident memory of this process: "VmRSS" now, "VmHWM" the most since it was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def _footage(clip: RenderedClip, family: str, count: int, objects: Container[int]) -> Footage:
    def draw() -> Iterator[RenderedFrame]:
        for frame in clip.frames(count):
            yield RenderedFrame(frame.image, {i: t for i, t in frame.truths.items() if i in objects})

    return Footage(clip.name, family, min(count, clip.length), min(EASY, count), draw)
