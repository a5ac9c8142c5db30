"""The last sighting: what pocket's memory keeps of an object while it is gone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.memory import make_policy
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.latest import SIGHTED_IOU, LatestPolicy, LatestState
from keepsight.memory.policy import Pick
from keepsight.nn.io import MemoryView
from tests.toy import ToyNetwork

MASK = torch.zeros(1, 4, 4)
REACH = LatestPolicy().maps


class Frame:
    """How one frame shows the object."""

    WELL, BADLY, NOT = (2.0, 0.9), (2.0, SIGHTED_IOU), (-2.0, 0.9)  # presence, predicted IoU


def entry(frame: int, shown: tuple[float, float]) -> MemoryEntry:
    return MemoryEntry(frame, torch.tensor([float(frame)]), *shown, torch.full((2, 1), float(frame)))


def followed(policy: LatestPolicy, shown: list[tuple[float, float]], *, forward: bool = True) -> LatestState:
    """Prompted on frame 0, then tracked; backward the numbers fall."""
    bank = MemoryBank(forward=forward).with_conditioning(entry(0, Frame.WELL))
    state = policy.begin(bank, MASK, ambiguous=False)
    for frame, how in enumerate(shown, 1):
        number = frame if forward else -frame
        state = policy.remember(state, [Pick(0, 0)], [entry(number, how)], [MASK])
    return state


def recalled(policy: LatestPolicy, state: LatestState, now: int) -> MemoryView:
    (view,) = policy.recall(state, now)
    return view


looks = st.lists(st.sampled_from([Frame.WELL, Frame.BADLY, Frame.NOT]), max_size=40)


@settings(deadline=None)
@given(looks, st.booleans())
def test_the_last_sighting_stands_for_the_oldest_map_while_none_in_reach_is_one(
    shown: list[tuple[float, float]], forward: bool
) -> None:
    policy = LatestPolicy(recalls_sighting=True)
    state, sign, now = followed(policy, shown, forward=forward), 1 if forward else -1, len(shown) + 1
    view = recalled(policy, state, sign * now)
    expected = [frame for frame in range(now - REACH, now) if frame >= 1]
    sightings = [frame for frame, how in enumerate(shown, 1) if how == Frame.WELL]
    kept = bool(sightings) and sightings[-1] < now - REACH
    if kept:
        expected[0] = sightings[-1]
    assert view.sightings == kept
    assert [sign * int(m[0, 0]) for m in view.maps] == [0, *expected]
    assert view.ages == (0, *range(len(expected), 0, -1))


@settings(deadline=None)
@given(looks)
def test_a_sighting_adds_one_entry_to_the_bank_at_most(shown: list[tuple[float, float]]) -> None:
    state = followed(LatestPolicy(recalls_sighting=True), shown)
    assert len(state.bank.recent) <= 16
    assert sum(e.map is not None for e in state.bank.recent) <= REACH + 1


@settings(deadline=None)
@given(looks)
def test_without_the_rule_memory_is_sam_2s(shown: list[tuple[float, float]]) -> None:
    """And so it is with it as long as the object is well seen."""
    plain = followed(LatestPolicy(), shown)
    assert [int(m[0, 0]) for m in recalled(LatestPolicy(), plain, len(shown) + 1).maps[1:]] == [
        frame for frame in range(len(shown) + 1 - REACH, len(shown) + 1) if frame >= 1
    ]
    assert len(plain.bank.recent) <= 15
    well = [Frame.WELL for _ in shown]
    kept = followed(LatestPolicy(recalls_sighting=True), well)
    assert [e.frame for e in kept.bank.recent] == [
        e.frame for e in followed(LatestPolicy(), well).bank.recent
    ]


def test_the_sighting_of_an_object_that_is_corrected_gives_way() -> None:
    """A prompt displaces what was tracked on its frame; an older sighting has been forgotten by then."""
    policy = LatestPolicy(recalls_sighting=True)
    state = followed(policy, [Frame.WELL, Frame.WELL, *[Frame.NOT] * 12])
    assert int(recalled(policy, state, 15).maps[1][0, 0]) == 2
    state = policy.recondition(state, [entry(0, Frame.WELL), entry(2, Frame.WELL)])
    view = recalled(policy, state, 15)
    assert [int(m[0, 0]) for m in view.maps] == [2, 0, *range(9, 15)]


def test_the_network_says_whether_sightings_are_recalled() -> None:
    network = ToyNetwork()
    for asked in (False, True):
        network.recalls_sighting = asked
        policy = make_policy("sam2", network)
        assert isinstance(policy, LatestPolicy)
        assert policy.recalls_sighting is asked
