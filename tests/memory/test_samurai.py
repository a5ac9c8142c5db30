"""SAMURAI against a plain transcription of its rules, and on what the published code cannot do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.memory import make_policy
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.kalman import box_overlaps, expected_boxes, initiate, predict, update
from keepsight.memory.policy import Pick
from keepsight.memory.samurai import SamuraiPolicy, SamuraiState
from keepsight.nn.io import MaskCandidates, MemoryView
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.session import Session
from keepsight.types import Box, Points
from keepsight.video import open_source
from tests.memory.rules import BoxTuple, Filter, Samurai, Seen, overlap
from tests.oracle import lively_network, moving_texture, tiny_config
from tests.toy import ToyNetwork, blob_frame, centre, click
from tests.toy import overlap as toy_overlap

CLIP = Path(__file__).parents[3] / "shared" / "data" / "videos" / "bedroom.mp4"
GRID = 12


def sharp_box(logits: Tensor) -> BoxTuple:
    """The box of a mask (4h, 4w) at four times its size, inclusive."""
    marked = F.interpolate(logits[None, None], scale_factor=4, mode="bilinear", align_corners=False)[0, 0] > 0
    ys, xs = torch.nonzero(marked, as_tuple=True)
    if len(xs) == 0:
        return 0.0, 0.0, 0.0, 0.0
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def library(count: int = 80) -> tuple[Tensor, list[BoxTuple]]:
    """Masks of a blob on a path, near it, and elsewhere; the first is empty."""
    generator = torch.Generator().manual_seed(3)
    masks = torch.full((count, GRID, GRID), -2.0)
    for i in range(1, count):
        x, y = torch.randint(0, GRID - 4, (2,), generator=generator).tolist()
        w, h = torch.randint(2, 5, (2,), generator=generator).tolist()
        masks[i, y : y + h, x : x + w] = torch.rand(h, w, generator=generator) * 4 - 0.2
    return masks, [sharp_box(m) for m in masks]


def recalled_frames(view: MemoryView) -> list[int]:
    return [int(m[0, 0]) for m, age in zip(view.maps, view.ages, strict=True) if age > 0]


def entry(frame: int, iou: float = 1.0, presence: float = 5.0) -> MemoryEntry:
    return MemoryEntry(frame, torch.full((2,), float(frame)), presence, iou, torch.full((3, 1), float(frame)))


@pytest.mark.slow
def test_two_thousand_simulated_sequences_step_for_step() -> None:
    masks, boxes = library()
    rng = np.random.default_rng(0)
    torch.set_num_threads(1)
    motion_decided = scarce = 0
    for sequence in range(2000):
        policy = SamuraiPolicy(kf_score_weight=(0.15, 0.25)[sequence % 2])
        clicked = bool(rng.random() < 0.5)
        plain = Samurai(policy.kf_score_weight)
        start = int(rng.integers(1, len(masks)))
        state = policy.begin(MemoryBank().with_conditioning(entry(0)), masks[start][None], ambiguous=clicked)
        if clicked:
            plain.prompted_by_click(boxes[start])
        # Some sequences go well long enough for motion to have a say, others are mostly poor.
        quality = rng.choice([0.25, 0.55, 0.95])
        for t in range(1, int(rng.integers(20, 42))):
            picked = rng.integers(0, len(masks), 3)
            ious = (quality * rng.random(3).astype(np.float32) ** 0.3).tolist()
            presence = float(np.float32(rng.normal(2.0, 2.0)))
            seen = Seen([boxes[i] for i in picked], ious, presence)
            (view,) = policy.recall(state, t)
            assert recalled_frames(view) == plain.memory_frames(t)
            scarce += len(plain.memory_frames(t)) < min(6, t - 1)
            candidates = MaskCandidates(
                masks[picked][None],
                torch.tensor([ious]),
                torch.zeros(1, 3, 2),
                torch.tensor([[presence]]),
            )
            (pick,) = policy.choose(state, candidates)
            best = plain.see(t, seen)
            assert pick.mask == best, (sequence, t)
            motion_decided += best != int(np.argmax(ious))
            made = entry(t, ious[best], presence)
            state = policy.remember(state, [pick], [made], [masks[picked[best]][None]])
    # The comparison means something only if motion overruled predicted IoU, and memory was gated.
    assert motion_decided > 500
    assert scarce > 5000


@dataclass(frozen=True)
class Spy(SamuraiPolicy):
    """Writes down what it was offered and what it did."""

    offered: list[Seen] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)
    recalled: list[list[int]] = field(default_factory=list)

    def recall(self, state: SamuraiState, frame: int) -> Sequence[MemoryView]:
        views = super().recall(state, frame)
        by_map = {id(e.map): e.frame for e in state.bank.recent}
        ages = zip(views[0].maps, views[0].ages, strict=True)
        self.recalled.append([by_map[id(m)] for m, age in ages if age > 0])
        return views

    def choose(self, state: SamuraiState, candidates: MaskCandidates) -> Sequence[Pick]:
        picks = super().choose(state, candidates)
        boxes = [sharp_box(m) for m in candidates.logits[0]]
        self.offered.append(Seen(boxes, candidates.ious[0].tolist(), float(candidates.presence[0, 0])))
        self.chosen.append(picks[0].mask)
        return picks


@pytest.mark.slow
@pytest.mark.parametrize("clicked", [True, False])
def test_sixty_frames_of_a_real_clip_with_random_weights(clicked: bool) -> None:
    if not CLIP.exists():
        pytest.skip(f"the project's shared clip {CLIP} is not on this machine")
    policy = Spy()
    session = Session(lively_network(tiny_config("sam2.1_hiera_tiny")), policy)
    prompt = Points([(480, 250)]) if clicked else Box(300, 100, 600, 400)
    with open_source(str(CLIP)) as source:
        for frame in source.frames(0, 61):
            session.step(frame.image, {1: prompt} if frame.index == 0 else None)
            if frame.index == 0 and clicked:
                start = sharp_box(session.snapshot().tracks[1].answer.logits[0])
    plain = Samurai(policy.kf_score_weight)
    if clicked:
        plain.prompted_by_click(start)
    assert len(policy.offered) == 60
    for t, seen in enumerate(policy.offered, start=1):
        assert policy.recalled[t - 1] == plain.memory_frames(t)
        assert policy.chosen[t - 1] == plain.see(t, seen), t
    assert len(set(policy.chosen)) > 1
    assert any(frames != list(range(max(1, t - 6), t)) for t, frames in enumerate(policy.recalled, start=1))


def test_the_filter_over_a_batch_is_the_plain_filter_per_box() -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 50, (9, 5, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(0, 40, (9, 5, 2))), axis=-1)
    boxes[0, 0] = 0
    motion, plain = initiate(boxes[0]), [Filter() for _ in range(5)]
    for one, box in zip(plain, boxes[0], strict=True):
        one.initiate(tuple(box))
    for seen in boxes[1:]:
        motion = predict(motion)
        overlaps = box_overlaps(expected_boxes(motion), seen)
        for one, box, found, expected in zip(plain, seen, overlaps, expected_boxes(motion), strict=True):
            one.predict()
            np.testing.assert_allclose(expected, one.box(), rtol=1e-9)
            assert found == pytest.approx(overlap(one.box(), tuple(box)), abs=1e-12)
            one.update(tuple(box))
        motion = update(motion, seen)
    np.testing.assert_allclose(motion.mean, [one.mean for one in plain], rtol=1e-9)
    np.testing.assert_allclose(motion.covariance, [one.cov for one in plain], rtol=1e-7, atol=1e-12)


def test_the_published_numbers_per_network() -> None:
    with torch.device("meta"):
        large, tiny = Sam2(VARIANTS["sam2.1_hiera_large"]), Sam2(VARIANTS["sam2.1_hiera_tiny"])
    assert make_policy("samurai", large) == SamuraiPolicy(kf_score_weight=0.15)
    assert make_policy("samurai", tiny) == SamuraiPolicy(kf_score_weight=0.25)


def test_memory_is_bounded_and_skips_poor_frames() -> None:
    policy = SamuraiPolicy()
    state = policy.begin(MemoryBank().with_conditioning(entry(0)), torch.zeros(1, 4, 4), ambiguous=False)
    for t in range(1, 200):
        poor = t % 3 != 0
        made = entry(t, iou=0.2 if poor else 0.9)
        state = policy.remember(state, [Pick(0, 0)], [made], [torch.ones(1, 4, 4)])
        assert sum(e.map is not None for e in state.bank.recent) <= 7
        assert len(state.bank.recent) <= 15 + 6
    assert recalled_frames(policy.recall(state, 200)[0]) == [186, 189, 192, 195, 198, 199]
    assert policy.recall(state, 200)[0].layout == (7, 1, 0, 16)


@pytest.mark.parametrize("reverse", [False, True])
def test_many_objects_late_ones_and_either_direction(reverse: bool) -> None:
    frames = range(30, -1, -1) if reverse else range(5, 36)
    session = Session(ToyNetwork(), "samurai", start=frames[0], reverse=reverse)
    for n, index in enumerate(frames):
        prompts = click(1, index) | click(2, index) if n == 0 else click(3, index) if n == 9 else None
        result = session.step(blob_frame(index), prompts)
        assert all(toy_overlap(result, i) > 0.4 for i in result)
    assert list(result) == [1, 2, 3]


def test_a_hidden_object_comes_back_and_a_correction_holds() -> None:
    session = Session(ToyNetwork(), "samurai")
    for index in range(60):
        hidden = (1,) if 20 <= index < 50 else ()
        result = session.step(blob_frame(index, hidden), click(1) if index == 0 else None)
        assert result[1].visible is (not hidden)
    assert toy_overlap(result, 1) > 0.4
    session.prompt({1: Points([centre(2, 59)])}, replace=True)
    assert session.step(blob_frame(60))[1].visible


def test_textures_of_other_grids() -> None:
    """The rule asks nothing of the network's size: a 256 px network of 16 x 16 tokens."""
    network = lively_network(tiny_config("sam2_hiera_tiny"))
    session = Session(network, "samurai")
    for index, frame in enumerate(moving_texture(4)):
        result = session.step(frame, {1: Points([(40, 45)])} if index == 0 else None)
    assert result[1].mask.shape == frame.shape[:2]
