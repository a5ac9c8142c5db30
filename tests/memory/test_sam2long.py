"""SAM2Long against a plain transcription of its rules, in which every pathway has a past of its own."""

import numpy as np
import pytest
import torch

from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.sam2long import Sam2LongPolicy, Sam2LongState
from keepsight.nn.io import MaskCandidates
from keepsight.session import Session
from keepsight.types import Points
from tests.memory.rules import Sam2Long, Seen
from tests.oracle import lively_network, moving_texture, tiny_config
from tests.toy import ToyNetwork, blob_frame, click
from tests.toy import overlap as toy_overlap

History = tuple[tuple[int, int], ...]  # per frame: which account of the caller's, which mask


def offer(seed: int, t: int, history: History, coarse: bool, presence_spread: float) -> Seen:
    """What a network would say to an account of the past: depends on the account alone."""
    rng = np.random.default_rng([seed, t, hash(history) % 2**31])
    ious = rng.random(3).astype(np.float32)
    if coarse:  # Ties and equal rounded values are where selection rules differ.
        ious = (np.round(ious * 4) / 4).astype(np.float32)
    presence = np.float32(rng.normal(0.4, presence_spread))
    return Seen([], ious.tolist(), float(presence))


def entry(frame: int, iou: float, presence: float) -> MemoryEntry:
    return MemoryEntry(frame, torch.full((2,), float(frame)), presence, iou, torch.full((3, 1), float(frame)))


def candidates(rows: list[Seen]) -> MaskCandidates:
    count = len(rows)
    return MaskCandidates(
        torch.zeros(count, 3, 4, 4),
        torch.tensor([r.ious for r in rows]),
        torch.zeros(count, 3, 2),
        torch.tensor([[r.presence] for r in rows]),
    )


def check_recall(policy: Sam2LongPolicy, state: Sam2LongState, plain: Sam2Long, t: int) -> None:
    views = policy.recall(state, t)
    for p, place in enumerate(state.shares if plain.past else ()):
        view = views[place]
        maps, pointers = plain.maps(p, t), plain.pointers(p, t)
        assert [int(m[0, 0]) for m in view.maps] == [0, *maps]
        assert list(view.ages) == [0, *range(len(maps), 0, -1)]
        assert [int(q[0]) for q in view.pointers] == [0, *pointers]
        assert list(view.offsets) == [t, *range(1, len(pointers) + 1)]
        if t > 1:
            np.testing.assert_allclose(view.map_scales, plain.scales(p, maps), atol=1e-6)
            np.testing.assert_allclose(view.pointer_scales, plain.scales(p, pointers), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("quirks", [False, True])
def test_a_thousand_simulated_sequences_step_for_step(quirks: bool) -> None:
    split = merged = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        width = int(rng.integers(1, 5))
        policy = Sam2LongPolicy(num_pathway=width, reference_quirks=quirks)
        plain = Sam2Long(width, policy.iou_threshold, policy.uncertainty, quirks)
        state = policy.begin(
            MemoryBank().with_conditioning(entry(0, 1.0, 10.0)), torch.zeros(1, 4, 4), ambiguous=False
        )
        histories: list[History] = [()] * width  # per pathway of the plain side
        accounts: list[History] = [()]  # per account of ours
        coarse, spread = bool(seed % 2), float(rng.choice([0.8, 1.5, 4.0]))
        for t in range(1, 26):
            check_recall(policy, state, plain, t)
            rows = [offer(seed, t, h, coarse, spread) for h in histories]
            ours = [offer(seed, t, h, coarse, spread) for h in accounts]
            chosen = plain.see(t, rows)
            picks = policy.choose(state, candidates(ours))
            made = {p: entry(t, ours[p.view].ious[p.mask], ours[p.view].presence) for p in picks}
            state = policy.remember(state, picks, [made[p] for p in picks], [torch.zeros(1, 4, 4)] * width)
            histories = [(*histories[p], (t, j)) for p, j in chosen]
            grown = {pick: (*accounts[pick.view], (t, pick.mask)) for pick in picks}
            accounts = [*grown.values()]
            assert [accounts[place] for place in state.shares] == histories, (seed, t)
            assert len(set(accounts)) == len(accounts) == len(state.paths)
            np.testing.assert_allclose([state.paths[i].score for i in state.shares], plain.score)
            split += len(accounts) > 1
            merged += len(accounts) < width
    assert split > 1500
    assert merged > 1500


def test_identical_accounts_are_computed_once() -> None:
    network = ToyNetwork()
    session = Session(network, Sam2LongPolicy())
    for index in range(12):
        result = session.step(blob_frame(index), click(1) | click(2) if index == 0 else None)
    assert network.batches[1:] == [2] * 11
    assert toy_overlap(result, 1) > 0.4 < toy_overlap(result, 2)
    assert not session.finish()


def test_accounts_that_differ_are_one_batch_and_hindsight_tells_them_apart() -> None:
    """Random weights with presence near 0, so that pathways part; answers then stand or are revised."""
    network = lively_network(tiny_config("sam2.1_hiera_tiny"))
    policy = Sam2LongPolicy(hindsight_frames=None)
    session = Session(network, policy)
    answered, lives = {}, []
    prompts = {1: Points([(40, 45)]), 2: Points([(90, 30)])}
    for index, frame in enumerate(moving_texture(24)):
        result = session.step(frame, prompts if index == 0 else None)
        answered[index] = result
        lives.append([len(t.after.paths) for t in session.snapshot().tracks.values()])
    assert max(map(max, lives)) == 3
    revised = session.finish()
    assert revised
    assert list(revised) == sorted(revised)
    best = {i: t.after.paths[0] for i, t in session.snapshot().tracks.items()}
    for index, objects in revised.items():
        for i, found in objects.items():
            assert index in [r.frame for r in best[i].trail]
            assert found.mask.shape == answered[index][i].mask.shape
            assert found.score != answered[index][i].score or (found.mask != answered[index][i].mask).any()


def test_hindsight_is_bounded() -> None:
    policy = Sam2LongPolicy(num_pathway=2, hindsight_frames=5, uncertainty=100.0)
    state = policy.begin(MemoryBank().with_conditioning(entry(0, 1, 9)), torch.zeros(1, 4, 4), ambiguous=True)
    for t in range(1, 60):
        rows = [Seen([], [0.9, 0.5, 0.1], 1.0), Seen([], [0.8, 0.4, 0.2], 1.0)][: len(state.paths)]
        picks = policy.choose(state, candidates(rows))
        made = [entry(t, rows[p.view].ious[p.mask], 1.0) for p in picks]
        state = policy.remember(state, picks, made, [torch.zeros(1, 4, 4)] * len(picks))
        assert all(len(path.trail) <= 5 for path in state.paths)
        assert all(sum(e.map is not None for e in path.bank.recent) <= 7 for path in state.paths)
        assert all(len(path.bank.recent) <= 16 for path in state.paths)


def test_several_prompts_late_objects_and_reverse() -> None:
    session = Session(ToyNetwork(), "sam2long", start=40, reverse=True)
    for n, index in enumerate(range(40, 5, -1)):
        prompts = {0: click(1, index), 8: click(1, index), 12: click(2, index)}.get(n)
        result = session.step(blob_frame(index), prompts)
        assert all(toy_overlap(result, i) > 0.4 for i in result)
    bank = session.snapshot().tracks[1].after.bank
    assert [e.frame for e in bank.conditioning] == [32, 40]
    assert list(result) == [1, 2]
