"""Promises that need a real network: random weights, tiny configuration, memory full."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from keepsight.api.tracker import VideoTracker
from keepsight.api.tracking import track
from keepsight.nn.matching import MatchingConfig
from keepsight.nn.sam2 import Sam2
from keepsight.session import Session
from keepsight.types import Box, FrameResult, Mask, Points, Prompt
from tests.oracle import favour_presence, moving_texture, randomise, tiny_config
from tests.toy import same

FRAMES = moving_texture(20)
MASK = np.zeros((90, 120), dtype=np.bool_)
MASK[30:60, 20:50] = True
PROMPTS: dict[int, dict[int, Prompt]] = {
    0: {1: Points([(40, 45)]), 2: [Box(20, 20, 70, 80), Points([(60, 70)], [0])]},
    4: {3: Mask(MASK)},
    9: {1: Points([(60, 45), (20, 20)], [1, 0])},
}


@pytest.fixture(scope="module")
def network() -> Sam2:
    torch.set_num_threads(1)
    torch.manual_seed(5)
    network = Sam2(tiny_config()).eval().requires_grad_(False)
    randomise(network, seed=6)
    favour_presence(network, by=2.0)
    return network


def streamed(network: Sam2, prompts: dict[int, dict[int, Prompt]]) -> list[FrameResult]:
    session = Session(network, keep_logits=True)
    return [session.step(frame, prompts.get(index)) for index, frame in enumerate(FRAMES)]


def test_streaming_equals_offline_bit_for_bit(network: Sam2) -> None:
    live = streamed(network, PROMPTS)
    offline = list(track(FRAMES, PROMPTS, model=network, keep_logits=True))
    for a, b in zip(live, offline, strict=True):
        assert same(a, b)
        assert all(np.array_equal(a[i].logits, b[i].logits) for i in a)  # type: ignore[arg-type]


def test_objects_together_equal_each_alone(network: Sam2) -> None:
    together = streamed(network, PROMPTS)
    for i in (1, 2, 3):
        alone = streamed(network, {f: {i: said[i]} for f, said in PROMPTS.items() if i in said})
        for a, b in zip(together, alone, strict=True):
            assert (i in a) == (i in b)
            if i in a:
                np.testing.assert_allclose(a[i].logits, b[i].logits, atol=2e-4, rtol=2e-4)  # type: ignore[arg-type]
                assert a[i].score == pytest.approx(b[i].score, abs=1e-4)


def test_objects_with_as_many_maps_but_fewer_prompts_do_not_mix() -> None:
    """On frame 4 both remember four maps: two of them prompted of the one object, one of the other."""
    torch.manual_seed(7)
    matching = MatchingConfig(key_width=8, fine_width=8, attended=1, familiarity=4)
    network = Sam2(replace(tiny_config(), matching=matching)).eval().requires_grad_(False)
    randomise(network, seed=8)
    favour_presence(network, by=2.0)
    first, second = PROMPTS[0][1], PROMPTS[9][1]
    prompts: dict[int, dict[int, Prompt]] = {0: {1: first, 2: PROMPTS[0][2]}, 2: {1: second}}
    together = streamed(network, prompts)[:8]
    for i in (1, 2):
        alone = streamed(network, {f: {i: said[i]} for f, said in prompts.items() if i in said})[:8]
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i].logits, b[i].logits, atol=2e-4, rtol=2e-4)  # type: ignore[arg-type]


def test_a_state_from_disk_goes_on_as_if_it_had_stayed(network: Sam2) -> None:
    from keepsight.api.archive import StateArchive

    session = Session(network)
    for index in range(12):
        session.step(FRAMES[index], PROMPTS.get(index))
    archive = StateArchive(resident_bytes=0)
    archive.put(session.snapshot(), pinned=True)
    expected = session.step(FRAMES[12])
    archive.put(session.snapshot(), pinned=True)
    session.restore(archive.get(11))
    assert same(session.step(FRAMES[12]), expected)


def test_going_back_recomputes_the_same_masks(network: Sam2) -> None:
    with VideoTracker(FRAMES, model=network) as tracker:
        tracker.prompt(0, 1, points=[(40, 45)])
        results = list(tracker.propagate())
        for frame in (13, 6, 18):
            seen = tracker.prompt(frame, 2, box=(20, 20, 70, 80))
            assert np.array_equal(seen[1].mask, results[frame][1].mask)
            tracker.undo()
