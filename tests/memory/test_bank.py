"""Properties of the memory bank and of SAM 2's rule over it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from keepsight.memory import make_policy
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.latest import LatestPolicy, LatestState

NOTHING = torch.zeros(1, 4, 4)


def entry(frame: int) -> MemoryEntry:
    return MemoryEntry(frame, torch.tensor([float(frame)]), 1.0, 0.9, torch.full((2, 1), float(frame)))


def tracked(bank: MemoryBank, frame: int) -> MemoryBank:
    return bank.with_recent(entry(frame), maps=bank.reach(frame, 6), pointers=bank.reach(frame, 15))


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[int], list[int], bool]:
    """Frames in the order of tracking with gaps, the prompted ones among them, and the direction."""
    forward = draw(st.booleans())
    frames = sorted(draw(st.sets(st.integers(0, 80), min_size=2)), reverse=not forward)
    prompted = draw(st.sets(st.sampled_from(frames), min_size=1))
    return frames, sorted(prompted), forward


def walked(frames: list[int], prompted: list[int], *, forward: bool) -> MemoryBank:
    bank = MemoryBank(forward=forward)
    for frame in frames:
        if frame in prompted:
            bank = bank.with_conditioning(entry(frame))
        else:
            bank = tracked(bank, frame)
    return bank


@given(walks())
def test_recall_equals_the_rule_over_an_unbounded_memory(walk: tuple[list[int], list[int], bool]) -> None:
    frames, prompted, forward = walk
    *past, now = frames
    seen = [f for f in prompted if f != now] or [past[0]]
    bank = walked(past, seen, forward=forward)
    view = LatestPolicy().recall(LatestState(bank), now)[0]
    sign = 1 if forward else -1
    ages = {(now - f) * sign: f for f in past if f not in seen}
    conditioning = sorted((f for f in seen if f in past), key=lambda f: (abs(f - now), f))
    maps = conditioning + [ages[a] for a in range(6, 0, -1) if a in ages]
    pointers = conditioning + [ages[a] for a in range(1, 16) if a in ages]
    assert [int(m[0, 0]) for m in view.maps] == maps
    assert [int(p[0]) for p in view.pointers] == pointers
    assert list(view.offsets) == [(now - f) * sign for f in pointers]
    assert list(view.ages) == [0] * len(conditioning) + [a for a in range(6, 0, -1) if a in ages]


@given(walks())
def test_the_bank_is_bounded_and_old_banks_stay_as_they_were(walk: tuple[list[int], list[int], bool]) -> None:
    frames, prompted, forward = walk
    bank = walked(frames[:-1], prompted, forward=forward)
    before = (bank.conditioning, bank.recent)
    longer = tracked(bank, frames[-1])
    assert (bank.conditioning, bank.recent) == before
    assert len(longer.recent) <= 15
    assert sum(e.map is not None for e in longer.recent) <= 6


def test_a_prompt_takes_the_place_of_what_was_tracked_there() -> None:
    bank = walked([0, 1, 2, 3], [0], forward=True).with_conditioning(entry(2))
    assert [e.frame for e in bank.conditioning] == [0, 2]
    assert [e.frame for e in bank.recent] == [1, 3]


def test_conditioning_frames_ahead_give_maps_but_no_pointers() -> None:
    bank = MemoryBank().with_conditioning(entry(9))
    view = LatestPolicy().recall(LatestState(bank), 4)[0]
    assert view.layout == (1, 1, 0, 0)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=9, unique=True), st.integers(0, 60), st.integers(1, 5)
)
def test_at_most_so_many_conditioning_frames(prompted: list[int], now: int, most: int) -> None:
    bank = MemoryBank()
    for frame in prompted:
        bank = bank.with_conditioning(entry(frame))
    policy = LatestPolicy(max_conditioning=most)
    view = policy.recall(policy.begin(bank, NOTHING, ambiguous=False), now)[0]
    chosen = [int(m[0, 0]) for m, age in zip(view.maps, view.ages, strict=True) if age == 0]
    assert len(chosen) == min(most, len(prompted))
    before = [f for f in prompted if f < now]
    if before:
        assert max(before) in chosen


def test_an_unknown_policy_is_refused_by_name() -> None:
    import pytest

    from keepsight.errors import PolicyError

    with pytest.raises(PolicyError, match=r"one of sam2.*'sam9'"):
        make_policy("sam9")
