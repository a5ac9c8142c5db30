"""One training step's forward pass: a batch of clips tracked by the network as it will be used.

The first frame is prompted; every later frame sees only what the network remembers, which is more and more
its own predictions as training goes on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keepsight.memory.latest import SIGHTED_IOU
from keepsight.nn.efficientnet import EfficientNetEncoder, EfficientNetLevels
from keepsight.nn.io import ImageFeatures, MaskCandidates, MemoryBatch, PromptBatch
from keepsight.nn.sam2 import Sam2
from training.losses import FrameLosses, frame_losses
from training.memory import Entry, Memory
from training.pool import Batch, pixels_of
from training.prompts import box_prompt, click_prompt, correction_prompt

__all__ = ["Networks", "Schedule", "light_encoder", "track_clips"]

ALWAYS_PRESENT = -1e9  # presence threshold that leaves the masks of absent objects alone, for their gradient
GIVEN = 10.0  # logit of a given mask
ABSENT = -1024.0
GRADED = 3
CORRECTED = 0.05  # how often an answer on a later frame is corrected by a click


class Schedule(NamedTuple):
    """What changes over the run."""

    length: int  # frames of a clip
    teacher: float  # probability that the true mask is remembered instead of the predicted one
    graded: int = GRADED  # the last frames, which are learned from; those before only fill the memory


class Networks(NamedTuple):
    """Two of the same weights, possibly of different types; they may be one."""

    learning: Sam2
    following: Sam2  # without gradients


class Told(NamedTuple):
    """Frames after the first whose true masks are given, as a person does who corrects."""

    frames: frozenset[int]
    early: bool  # known from the start, as when a clip is tracked anew; else when they are reached

    @classmethod
    def draw(cls, random: np.random.Generator, length: int, graded: int = GRADED) -> "Told":
        """None as a rule; one or two otherwise."""
        early = random.random() < 0.5
        stop = length if early else length - graded
        count = min(int(random.choice([0, 1, 2], p=(0.8, 0.13, 0.07))), max(stop - 1 - graded, 0))
        return cls(frozenset(map(int, random.choice(np.arange(1, stop), count, replace=False))), early)


def light_encoder(model: Sam2) -> EfficientNetEncoder:
    """The encoder of a network that was built with one of this kind.

    Raises:
        TypeError: it was built with another.
    """
    encoder = model.image_encoder
    if not isinstance(encoder, EfficientNetEncoder):
        raise TypeError(f"Expected a network with an EfficientNetEncoder, got {type(encoder).__name__}.")
    return encoder


def chained(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """`second(first(x))` for pointwise convolutions, without the wide map between them."""
    weight = second.weight.flatten(1) @ first.weight.flatten(1)
    bias = None if first.bias is None else second.weight.flatten(1) @ first.bias
    return F.conv2d(x, weight[:, :, None, None], bias)


def neck(model: Sam2, levels: EfficientNetLevels) -> tuple[Tensor, Tensor, Tensor]:
    """Embedding, fine and middle features of `Sam2.encode_image`, from (N, c, s, s) backbone levels.

    The same function as the encoder's `refine` and the decoder's projections after it, but projected before
    it is enlarged: a tenth of the time, which is spent on the 128 channels at stride 4.
    """
    encoder, decoder = light_encoder(model), model.mask_decoder
    lateral4, lateral8, lateral16, lateral32 = (cast(nn.Conv2d, lateral) for lateral in encoder.laterals)
    coarse = lateral16(levels.stride16) + F.interpolate(lateral32(levels.stride32), scale_factor=2.0)
    coarse = coarse + encoder.mix(coarse)
    results = []
    for projection in (decoder.fine_projection, decoder.middle_projection):
        carried = F.interpolate(F.conv2d(coarse, projection.weight), scale_factor=2.0)
        results.append(carried + chained(levels.stride8, lateral8, projection))
    fine, middle = results
    fine = F.interpolate(fine, scale_factor=2.0) + chained(levels.stride4, lateral4, decoder.fine_projection)
    shape = (1, -1, 1, 1)
    return (
        coarse,
        fine + cast(Tensor, decoder.fine_projection.bias).view(shape),
        middle + cast(Tensor, decoder.middle_projection.bias).view(shape),
    )


@contextmanager
def only_followed(device: str) -> Iterator[None]:
    """For frames that are not learned from: no gradients, computed in the type of the network's weights."""
    with torch.no_grad(), torch.autocast(device, enabled=False):
        yield


def encode_frames(model: Sam2, batch: Batch, frames: Sequence[int]) -> list[ImageFeatures]:
    """Encodes some frames of all clips at once and returns the features frame by frame."""
    pixels = pixels_of(batch.frames[:, list(frames)], batch.gains)
    levels = light_encoder(model).backbone(pixels.to(model.dtype))
    parts = neck(model, EfficientNetLevels(*levels))
    split = (part.view(len(batch.masks), len(frames), *part.shape[1:]).unbind(1) for part in parts)
    return [ImageFeatures(*frame) for frame in zip(*split, strict=True)]


def pick(candidates: MaskCandidates) -> MaskCandidates:
    """The one candidate that the network itself thinks best."""
    best = candidates.ious.argmax(dim=1, keepdim=True)
    rows = torch.arange(len(best), device=best.device)[:, None]
    parts = (candidates.logits, candidates.ious, candidates.pointers)
    logits, ious, pointers = (part[rows, best] for part in parts)
    return candidates._replace(logits=logits, ious=ious, pointers=pointers)


class Tracked:
    """A batch of clips in progress.

    Args:
        networks: the one that learns and, for the frames that are not learned from, one of the same weights.
        batch: the clips.
        random: source of chance.
        schedule: how long they are and how much is told.
    """

    def __init__(
        self, networks: Networks, batch: Batch, random: np.random.Generator, schedule: Schedule
    ) -> None:
        self.networks, self.batch, self.random, self.schedule = networks, batch, random, schedule
        self.told = Told.draw(random, schedule.length, schedule.graded)
        self.followed = [t for t in range(1, schedule.length) if t not in self.told.frames]
        self.learned = [0, *self.followed[-schedule.graded :]]
        self.features = dict(zip(self.learned, encode_frames(self.model, batch, self.learned), strict=True))
        rest = [t for t in range(1, schedule.length) if t not in self.learned]
        if rest:
            with only_followed(self.device):
                self.features |= zip(rest, encode_frames(self.model, batch, rest), strict=True)
        self.memory = Memory()
        self.losses: list[FrameLosses] = []

    @property
    def model(self) -> Sam2:
        """The network that is to be used now."""
        return self.networks.learning if torch.is_grad_enabled() else self.networks.following

    @property
    def device(self) -> str:
        """The kind of device, as `torch.autocast` wants it."""
        return self.networks.learning.device.type

    def truth(self, t: int) -> Tensor:
        """(B, 1, S, S) true mask of frame t."""
        return self.batch.masks[:, t, None]

    def learn(self, candidates: MaskCandidates, t: int) -> None:
        """Adds the losses of an answer for frame t."""
        self.losses.append(frame_losses(candidates, self.truth(t)))

    def prompt(self) -> None:
        """Answers the prompt on the first frame."""
        kind = self.random.random()
        if kind < 0.4:
            self.ask(0, None, box_prompt(self.random, self.truth(0)), multimask=self.random.random() < 0.5)
            self.tell(0)
            return
        clicks = int(self.random.integers(1, 4))
        if kind < 0.75:  # an unstable single mask is replaced by one of the other three: they learn boxes too
            prompts, multimask = box_prompt(self.random, self.truth(0)), self.random.random() < 0.5
        else:
            prompts, multimask = click_prompt(self.random, self.truth(0), clicks), clicks == 1
        answer = self.ask(0, None, prompts, multimask=multimask)
        if self.random.random() < 0.2:
            prompts = correction_prompt(self.random, prompts, pick(answer).logits, self.truth(0))
            answer = self.ask(0, None, prompts, multimask=False)
        self.remember(0, answer, prompted=True)

    def tell(self, t: int) -> None:
        """Gives the true mask of frame t."""
        given = self.model.adopt_mask(self.features[t], self.truth(t))
        self.remember(t, given, prompted=True)

    def ask(
        self, t: int, memory: MemoryBatch | None, prompts: PromptBatch | None, *, multimask: bool
    ) -> MaskCandidates:
        """Segments frame t and learns from the answer."""
        answer = self.model.segment(
            self.features[t], memory, prompts, multimask=multimask, presence_threshold=ALWAYS_PRESENT
        )
        if torch.is_grad_enabled():
            self.learn(answer, t)
        return answer

    def follow(self, t: int) -> None:
        """Tracks into frame t from memory alone; now and then a click corrects the answer."""
        memory = self.memory.recall(t, self.random, self.model.dtype)
        answer = self.ask(t, memory, None, multimask=True)
        corrected = self.random.random() < CORRECTED
        if corrected:
            logits = pick(answer).logits
            points = logits.new_zeros(len(logits), 0, 2)
            nothing = PromptBatch(points, torch.zeros_like(points[..., 0], dtype=torch.int32))
            prompts = correction_prompt(self.random, nothing, logits, self.truth(t))
            answer = self.ask(t, memory, prompts, multimask=True)
        if t < self.schedule.length - 1:
            self.remember(t, answer, prompted=corrected)

    def remember(self, t: int, answer: MaskCandidates, *, prompted: bool) -> None:
        """Encodes an answer, or with the schedule's probability the truth, into memory."""
        truth, best = self.truth(t), pick(answer)
        logits, presence, sure = best.logits, best.presence, best.ious[:, 0] > SIGHTED_IOU
        visible = truth.flatten(1).any(dim=1, keepdim=True)
        if self.random.random() < self.schedule.teacher:
            small = F.interpolate(truth, size=logits.shape[2:], mode="area")
            logits = (small * 2 - 1) * GIVEN
            presence, sure = torch.where(visible, GIVEN, -GIVEN), visible[:, 0]
        present = presence > 0
        logits = torch.where(present[..., None, None], logits.detach(), ABSENT)
        pointers = torch.where(present, best.pointers[:, 0], self.model.absent_pointer)
        encoded = self.model.encode_memory(self.features[t], logits, presence.detach(), prompted=prompted)
        entry = Entry(encoded, pointers, sure & present[:, 0])
        if prompted:
            self.memory.prompted[t] = entry
        else:
            self.memory.recent.append(entry)


def track_clips(
    networks: Networks, batch: Batch, random: np.random.Generator, schedule: Schedule
) -> FrameLosses:
    """Prompts the first frame, follows the object to the last, and returns the mean losses.

    Of a long clip only the prompt and the last frames are learned from, so that memories of many of the
    network's own predictions cost little. Arguments as for `Tracked`.
    """
    tracked = Tracked(networks, batch, random, schedule)
    told, early = tracked.told
    tracked.prompt()
    later = range(1, schedule.length)
    for t in later if early else ():
        if t in told:
            with only_followed(tracked.device):
                tracked.tell(t)
    for t in later:
        with nullcontext() if t in tracked.learned else only_followed(tracked.device):
            if t not in told:
                tracked.follow(t)
            elif not early:
                tracked.tell(t)
    return FrameLosses(*(torch.stack(terms).mean() for terms in zip(*tracked.losses, strict=True)))
