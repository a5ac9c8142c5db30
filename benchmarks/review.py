"""What corrections buy: the frames to correct chosen by the review queue, at random, and by an oracle.

    python -m benchmarks.review --dataset ../shared/data/davis/val --json training/review.json

Every object is told by its true mask on its first frame and tracked. Then a frame is chosen, corrected with
its true mask, and the whole clip tracked anew with all that was said (with --onward, the frames from the
corrected one on, as `keepsight annotate` does); the queue is shown what that pass found and chooses again. J
is the mean over all frames but the first and the last, corrected ones included, as the engine answers them.
The oracle takes, of a handful of frames, the one whose correction gains most.
"""

import argparse
import hashlib
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

import keepsight as ks
from benchmarks.policies import table
from keepsight.evaluation import MaskSequence, PackedMask, open_dataset, region_iou
from keepsight.export.files import new_file
from keepsight.nn.io import (
    ImageFeatures,
    InputSpec,
    MaskCandidates,
    MemoryBatch,
    PromptBatch,
    VideoNetwork,
)
from keepsight.review import Observation, ReviewQueue
from keepsight.types import FrameResult, ImageArray

__all__ = ["Clip", "Gains", "Tracked", "clips_of", "gains_of", "main", "summary"]

BUDGET = 3  # frames corrected
HANDFUL = 5  # frames that the oracle tries, evenly over the clip, beside the worst one and the queue's own
SETTINGS = ("dataset", "seeds", "budget", "onward", "model", "policy", "device")  # what figures depend on


class RememberingNetwork:
    """A network that encodes each frame once, however often a clip is tracked.

    Args:
        network: what is remembered of.
    """

    def __init__(self, network: VideoNetwork) -> None:
        self._network = network
        self._features: dict[bytes, ImageFeatures] = {}
        self.input_spec: InputSpec = network.input_spec
        self.device: torch.device = network.device
        self.dtype: torch.dtype = network.dtype
        self.motion_weight: float = network.motion_weight
        self.max_conditioning: int | None = network.max_conditioning
        self.recalls_sighting: bool = network.recalls_sighting

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """See `VideoNetwork`."""
        key = hashlib.blake2b(pixels.cpu().numpy().tobytes()).digest()
        if key not in self._features:
            self._features[key] = self._network.encode_image(pixels)
        return self._features[key]

    def segment(
        self,
        features: ImageFeatures,
        memory: MemoryBatch | None,
        prompts: PromptBatch | None,
        *,
        multimask: bool,
        presence_threshold: float = 0.0,
    ) -> MaskCandidates:
        """See `VideoNetwork`."""
        return self._network.segment(
            features, memory, prompts, multimask=multimask, presence_threshold=presence_threshold
        )

    def adopt_mask(self, features: ImageFeatures, masks: Tensor) -> MaskCandidates:
        """See `VideoNetwork`."""
        return self._network.adopt_mask(features, masks)

    def encode_memory(
        self, features: ImageFeatures, logits: Tensor, presence: Tensor, *, prompted: bool
    ) -> Tensor:
        """See `VideoNetwork`."""
        return self._network.encode_memory(features, logits, presence, prompted=prompted)


@dataclass(frozen=True)
class Tracked:
    """What one pass found: J of every frame, and the queue that watched it."""

    overlaps: npt.NDArray[np.float64]
    queue: ReviewQueue

    @property
    def quality(self) -> float:
        """The mean J, the DAVIS way: neither the first frame nor the last counts."""
        return float(self.overlaps[1:-1].mean())


class Clip:
    """One object of one sequence, tracked again and again.

    Args:
        name: of sequence and object.
        images: the frames.
        truths: the object's true masks.
        network: the model.
        policy: the memory policy.
        onward: whether a correction is followed from its frame on only, and what was found before it stays.
    """

    OBJECT = 1

    def __init__(
        self,
        name: str,
        images: Sequence[ImageArray],
        truths: Sequence[PackedMask],
        network: VideoNetwork,
        *,
        policy: str = "sam2",
        onward: bool = False,
    ) -> None:
        self.name = name
        self._images, self._truths = images, truths
        self._network, self._policy = RememberingNetwork(network), policy
        self._onward = onward
        self._passes: dict[tuple[frozenset[int], int], Seen] = {}
        # An empty mask is no correction that a tracker could take.
        self.correctable = [i for i, truth in enumerate(truths) if i and truth.unpacked().any()]

    def __len__(self) -> int:
        return len(self._images)

    def tracked(self, corrected: Sequence[int] = ()) -> Tracked:
        """What is found when the first frame and then the corrected ones are told, in their order."""
        told = frozenset({0, *corrected})
        seen = dict(self.seen(told if not self._onward else frozenset({0}), 0))
        for n, frame in enumerate(corrected if self._onward else (), 1):
            seen |= self.seen(frozenset({0, *corrected[:n]}), frame)
        queue = ReviewQueue()
        for frame in told:
            queue.corrected(self.OBJECT, frame)
        for _, observation in seen.values():
            queue.add(self.OBJECT, observation)
        return Tracked(np.array([seen[frame][0] for frame in range(len(self))]), queue)

    def seen(self, told: frozenset[int], start: int) -> "Seen":
        """One pass from a told frame to the end; each is tracked once."""
        if (told, start) not in self._passes:
            with ks.VideoTracker(list(self._images), model=self._network, policy=self._policy) as tracker:
                for frame in sorted(told):
                    tracker.prompt(frame, self.OBJECT, mask=self._truths[frame].unpacked())
                self._passes[told, start] = {r.index: self._judged(r) for r in tracker.propagate(start)}
        return self._passes[told, start]

    def _judged(self, result: FrameResult) -> tuple[float, Observation]:
        found, truth = result[self.OBJECT], self._truths[result.index].unpacked()
        return region_iou(found.mask, truth), Observation.of(result.index, found)


Seen = dict[int, tuple[float, Observation]]
"""By frame, J and what the queue is shown."""

Chooser = Callable[[Clip, Sequence[int]], int]
"""Looks at a clip with some frames corrected and says which is next."""


def by_queue(clip: Clip, corrected: Sequence[int]) -> int:
    """The frame of the first stretch, of those on which the object is."""
    stretches = clip.tracked(corrected).queue.stretches(Clip.OBJECT, least_risk=0.0)
    left = {*clip.correctable} - {*corrected}
    return next(stretch.frame for stretch in stretches if stretch.frame in left)


def at_random(seed: int) -> Chooser:
    """Any frame that is not corrected yet, each as likely."""
    random = np.random.default_rng(seed)

    def choose(clip: Clip, corrected: Sequence[int]) -> int:
        return int(random.choice([i for i in clip.correctable if i not in corrected]))

    return choose


def by_oracle(clip: Clip, corrected: Sequence[int]) -> int:
    """Of a handful of frames the one whose correction gains most, which takes the truth to know."""
    left = [i for i in clip.correctable if i not in corrected]
    overlaps = clip.tracked(corrected).overlaps
    even = np.linspace(0, len(left) - 1, HANDFUL + 2)[1:-1].round().astype(int)
    handful = {left[i] for i in even} | {min(left, key=lambda i: overlaps[i]), by_queue(clip, corrected)}
    return max(sorted(handful), key=lambda i: clip.tracked([*corrected, i]).quality)


@dataclass(frozen=True)
class Gains:
    """One object's figures.

    Attributes:
        name: of sequence and object.
        frames: of the clip.
        before: J without corrections.
        gained: by who chose, one row per try: J gained with 1, 2, ... corrections.
        chosen: likewise, the frames in the order in which they were corrected.
    """

    name: str
    frames: int
    before: float
    gained: dict[str, list[list[float]]]
    chosen: dict[str, list[list[int]]]

    @property
    def sequence(self) -> str:
        """Of the object."""
        return self.name.split()[0]

    def mean(self, who: str) -> list[float]:
        """J gained with 1, 2, ... corrections, the mean of all tries."""
        return [statistics.fmean(row) for row in zip(*self.gained[who], strict=True)]


def gains_of(clip: Clip, seeds: int, budget: int = BUDGET) -> Gains:
    """Corrects a clip's worth of frames by each way of choosing them.

    Args:
        clip: the object.
        seeds: of the random way.
        budget: how many frames are corrected.
    """
    ways: dict[str, list[Chooser]] = {
        "queue": [by_queue],
        "random": [at_random(seed) for seed in range(seeds)],
        "oracle": [by_oracle],
    }
    before = clip.tracked().quality
    gained: dict[str, list[list[float]]] = {}
    chosen: dict[str, list[list[int]]] = {}
    for who, choosers in ways.items():
        chosen[who] = [_corrections(clip, choose, min(budget, len(clip.correctable))) for choose in choosers]
        gained[who] = [
            [clip.tracked(frames[: n + 1]).quality - before for n in range(len(frames))]
            for frames in chosen[who]
        ]
    return Gains(clip.name, len(clip), before, gained, chosen)


def _corrections(clip: Clip, choose: Chooser, budget: int) -> list[int]:
    corrected: list[int] = []
    for _ in range(budget):
        corrected.append(choose(clip, corrected))
    return corrected


def clips_of(
    sequence: MaskSequence, network: VideoNetwork, *, policy: str = "sam2", onward: bool = False
) -> Iterator[Clip]:
    """The objects of a sequence, one at a time, as objects are tracked independently."""
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sequence.frames]
    masks = [sequence.masks(index) for index in range(len(images))]
    for number in sequence.object_ids:
        name = sequence.name if len(sequence.object_ids) == 1 else f"{sequence.name} {number}"
        truths = [PackedMask.of(mask[number]) for mask in masks]
        yield Clip(name, images, truths, network, policy=policy, onward=onward)


def summary(rows: Sequence[Gains]) -> str:
    """The means over objects as a table, and each object's below."""
    count = max(len(row.mean("queue")) for row in rows)
    full = [row for row in rows if len(row.mean("queue")) == count]

    def mean(who: str, corrections: int) -> float:
        return statistics.fmean(row.mean(who)[corrections] for row in full)

    head = [
        "corrections",
        *(f"J gained, {who}" for who in full[0].gained),
        "queue / random",
        "oracle / random",
    ]
    lines = []
    for n in range(count):
        means = {who: mean(who, n) for who in full[0].gained}
        ratios = [_ratio(means[who], means["random"]) for who in ("queue", "oracle")]
        lines.append([str(n + 1), *(f"{value:.4f}" for value in means.values()), *ratios])
    each = [
        [
            row.name,
            str(row.frames),
            f"{row.before:.3f}",
            *(" ".join(f"{value:.3f}" for value in row.mean(who)) for who in row.gained),
            *(" ".join(map(str, row.chosen[who][0])) for who in ("queue", "oracle")),
        ]
        for row in rows
    ]
    below = ["object", "frames", "J before", *rows[0].gained, "queue's frames", "oracle's frames"]
    said = f"J before: {statistics.fmean(row.before for row in full):.4f}, {len(full)} objects"
    return f"{said}\n\n{table(head, lines)}\n\n{table(below, each)}"


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", type=Path, required=True, help="a folder of DAVIS")
    parser.add_argument("--sequences", nargs="+", default=[], metavar="NAME", help="all when omitted")
    parser.add_argument("--seeds", type=int, default=5, help="tries of the random way")
    parser.add_argument("--budget", type=int, default=BUDGET, help="frames to correct")
    parser.add_argument(
        "--onward", action="store_true", help="track on from each correction, instead of the whole clip anew"
    )
    parser.add_argument("--model", default="pocket", help="catalogue name or path")
    parser.add_argument("--policy", default="sam2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch; all cores when omitted")
    parser.add_argument("--json", type=Path, help="keep figures here, and go on with what is there")
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Measures what is not measured yet and prints the tables."""
    given = arguments().parse_args(words)
    if given.threads:
        torch.set_num_threads(given.threads)
    sequences = [
        s for s in open_dataset(given.dataset).only(given.sequences).sequences if isinstance(s, MaskSequence)
    ]
    settings = {name: str(getattr(given, name)) for name in SETTINGS}
    rows = kept(given.json, settings)
    done = {row.sequence for row in rows}
    network = ks.load_model(given.model, device=given.device)
    for sequence in sequences:
        if sequence.name in done:
            continue
        clips = clips_of(sequence, network, policy=given.policy, onward=given.onward)
        rows += [gains_of(clip, given.seeds, given.budget) for clip in clips]
        print(f"{summary([row for row in rows if row.sequence == sequence.name])}\n", flush=True)
        if given.json is not None:
            content = {"settings": settings, "objects": [asdict(row) for row in rows]}
            with new_file(given.json) as file:
                file.write(json.dumps(content, indent=1).encode())
    print(summary(rows))


def kept(path: Path | None, settings: Mapping[str, str]) -> list[Gains]:
    """The figures of an earlier run, if there are any.

    Raises:
        SystemExit: they were measured with other settings.
    """
    if path is None or not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["settings"] != settings:
        raise SystemExit(
            f"Expected '{path}' to hold figures of {settings}, but got those of {content['settings']}. "
            f"Name another file, or delete this one."
        )
    return [Gains(**row) for row in content["objects"]]


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base > 0 else ""


if __name__ == "__main__":
    main()
