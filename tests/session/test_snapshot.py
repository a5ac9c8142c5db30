"""Sessions as bytes: tracking goes on as if nothing had happened, and anything else is refused."""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from keepsight.errors import (
    DamagedSnapshotError,
    ForeignSnapshotError,
    PolicyError,
    SnapshotError,
    SnapshotFormatError,
    UsageError,
)
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.latest import LatestPolicy, LatestState
from keepsight.memory.sam2long import Pathway, Sam2LongState
from keepsight.memory.samurai import SamuraiState
from keepsight.nn.io import ImageFeatures, MaskCandidates, MemoryBatch, PromptBatch, VideoNetwork
from keepsight.nn.matching import MatchingConfig
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.session import Session, SessionState
from keepsight.session.snapshot import FORMAT, Snapshot, pack, unpack
from keepsight.session.state import Answer, Track
from keepsight.types import Box, Frame, Mask, Points, Prompt
from tests.oracle import MASK, lively_network, moving_texture, tiny_config
from tests.toy import ToyNetwork, blob_frame, click, equal, same

POLICIES = ("sam2", "samurai", "sam2long")
MIB = 2**20
SHA256 = "0" * 64


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only lose by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def packed(
    state: SessionState[Any], policy: str = "sam2", fingerprint: str = "toy", **settings: Any
) -> bytes:
    shapes = {i: "polygon" if i % 2 else "mask" for i in state.tracks}
    return pack(state, fingerprint=fingerprint, policy=policy, shape_types=shapes, **settings)


def carried(state: SessionState[Any], policy: str = "sam2", **settings: Any) -> SessionState[Any]:
    """The state after a journey as bytes."""
    return unpack(packed(state, policy, **settings), fingerprint="toy", policy=policy).state


def resumed(network: VideoNetwork, state: SessionState[Any], policy: str) -> Session:
    session = Session(network, policy=policy)
    session.restore(state)
    return session


def goes_on_alike(
    network: VideoNetwork, session: Session, policy: str, frames: list[Any], **settings: Any
) -> None:
    """Whether a session and its copy give the same results, bit for bit, and end in the same memory."""
    twin = resumed(network, carried(session.snapshot(), policy, **settings), policy)
    assert twin.next_index == session.next_index
    for frame in frames:
        expected, found = session.step(frame), twin.step(frame)
        assert same(expected, found)
        assert expected.index == found.index
    for i, track in session.snapshot().tracks.items():
        ours = twin.snapshot().tracks[i].after
        assert list(entries(ours.bank)) == list(entries(track.after.bank))


def entries(bank: MemoryBank) -> Iterator[tuple[Any, ...]]:
    for entry in (*bank.conditioning, *bank.recent):
        kept = entry.map is not None
        yield entry.frame, entry.presence, entry.iou, kept, entry.pointer.tolist()


def banks(state: SessionState[Any]) -> Iterator[MemoryBank]:
    for track in state.tracks.values():
        yield from (path.bank for path in getattr(track.after, "paths", (track.after,)))


class LivelyToy(ToyNetwork):
    """A toy whose opinion of its masks wavers with all that is recalled, so that every rule has its say."""

    def segment(
        self, features: ImageFeatures, memory: MemoryBatch | None, prompts: PromptBatch | None, **how: Any
    ) -> MaskCandidates:
        found = super().segment(features, memory, prompts, **how)
        wobble = found.logits.abs().mean((2, 3)) * 7
        if memory is not None:
            maps = memory.maps.nan_to_num()  # a toy's absent object has no colour
            recalled = (maps * (1 + memory.ages[..., None, None])).sum((1, 2, 3))
            wobble = wobble + recalled[:, None] + memory.offsets.sum(dim=1, keepdim=True) * 0.1
        return found._replace(ious=(found.ious * (0.3 + 0.7 * (wobble % 1))).clamp(0, 1))


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_tracking_goes_on_as_if_nothing_had_happened(policy: str, data: st.DataObject) -> None:
    network, reverse = LivelyToy(), data.draw(st.booleans())
    session = Session(network, policy=policy, start=40, reverse=reverse)
    for number in range(data.draw(st.integers(1, 25))):
        index = session.next_index
        hidden = tuple(data.draw(st.sets(st.integers(1, 3), max_size=1)))
        prompts = click(1, index) if number == 0 else {}
        if data.draw(st.integers(0, 9)) == 0:
            prompts |= click(2, index)
        session.step(blob_frame(index, hidden), prompts)
        if data.draw(st.integers(0, 9)) == 0:
            session.prompt(click(1, index))
    way = -1 if reverse else 1
    coming = [session.next_index + way * n for n in range(18)]
    goes_on_alike(network, session, policy, [blob_frame(i, (1,) if i % 7 == 0 else ()) for i in coming])


@pytest.fixture(scope="module")
def network() -> Sam2:
    return lively_network(tiny_config())


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("count", [1, 18])
def test_a_real_network_goes_on_bit_for_bit(network: Sam2, policy: str, count: int) -> None:
    frames = moving_texture(21)
    session = Session(network, policy=policy)
    session.step(frames[0], {1: Mask(MASK), 7: Box(30, 40, 60, 70)})
    for number in range(1, count):
        session.step(frames[number], {3: Points([(20, 30)])} if number == 3 else None)
    goes_on_alike(network, session, policy, frames[count : count + 3])


def test_the_accounts_of_sam2long_are_all_kept_and_what_they_share_once(network: Sam2) -> None:
    frames = moving_texture(8)
    session = Session(network, policy="sam2long")
    session.step(frames[0], {1: Box(30, 40, 60, 70)})
    for frame in frames[1:]:
        session.step(frame)
    before = session.snapshot()
    after = carried(before, "sam2long")
    paths = before.tracks[1].after.paths
    assert len(paths) > 1, "the test needs accounts that differ"
    assert any(p.trail for p in paths), "the test needs something that could be revised"
    assert not any(p.trail for p in after.tracks[1].after.paths)
    assert [p.score for p in after.tracks[1].after.paths] == [p.score for p in paths]
    assert after.tracks[1].after.shares == before.tracks[1].after.shares
    assert distinct_tensors(after) == distinct_tensors(before)


def distinct_tensors(state: SessionState[Any]) -> int:
    return len(
        {id(t) for b in banks(state) for e in (*b.conditioning, *b.recent) for t in (e.pointer, e.map)}
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_objects_of_several_snapshots_go_on_together(policy: str) -> None:
    network = LivelyToy()
    early, late = Session(network, policy), Session(network, policy)
    for index in range(12):
        early.step(blob_frame(index), click(1) if index == 0 else None)
        if index >= 8:
            late.step(blob_frame(index), click(2, 8) if index == 8 else None)
    states = [
        unpack(packed(s.snapshot(), policy), fingerprint="toy", policy=policy, index=100).state
        for s in (early, late)
    ]
    assert [state.index for state in states] == [100, 100]
    both = resumed(network, states[0].with_tracks({**states[0].tracks, **states[1].tracks}), policy)
    for index in range(12, 40):
        result = both.step(blob_frame(index))
        assert result.index == index + 89
        for i, session in enumerate((early, late), start=1):
            assert equal(result[i], session.step(blob_frame(index))[i])


def test_what_a_snapshot_says_of_itself() -> None:
    session = Session(ToyNetwork())
    session.step(blob_frame(0), {**click(2), **click(1)})
    snapshot = unpack(packed(session.snapshot()), fingerprint="toy", policy="sam2")
    assert isinstance(snapshot, Snapshot)
    assert snapshot.shape_types == {2: "mask", 1: "polygon"}
    assert list(snapshot.state.tracks) == [2, 1]
    assert (snapshot.state.index, snapshot.state.size, snapshot.state.forward) == (0, (48, 80), True)


def test_the_last_frame_can_be_looked_at_and_corrected() -> None:
    session = Session(ToyNetwork())
    for index in range(10):
        shown = session.step(blob_frame(index), click(1) if index == 0 else None)
    twin = Session(ToyNetwork())
    twin.restore(carried(session.snapshot()), frame=Frame(9, None, blob_frame(9)))
    assert same(twin.result(), shown)
    assert same(twin.prompt(click(1, 9)), session.prompt(click(1, 9)))
    bank = twin.snapshot().tracks[1].after.bank
    assert [e.frame for e in bank.conditioning] == [0, 9]
    assert [e.frame for e in bank.recent] == list(range(1, 9))
    for index in range(10, 30):
        assert same(twin.step(blob_frame(index)), session.step(blob_frame(index)))


def test_a_first_frame_is_corrected_as_one() -> None:
    session, twin = Session(LivelyToy()), Session(LivelyToy())
    session.step(blob_frame(0), click(1))
    twin.restore(carried(session.snapshot()), frame=Frame(0, None, blob_frame(0)))
    again: dict[int, Prompt] = {1: [Box(10, 4, 22, 16)]}
    assert same(twin.prompt(again), session.prompt(again, replace=True))
    assert twin.snapshot().tracks[1].before is None


def test_prompts_that_lie_ahead_are_kept_and_those_passed_are_not() -> None:
    network = ToyNetwork()
    session = Session(network)
    for index in range(8):
        session.step(blob_frame(index), click(1, index) if index in (0, 6) else None)
    # As a tracker has it that goes back to frame 3, with the prompt on frame 6 to come.
    state = replace(session.snapshot(), index=3)
    back = resumed(network, carried(state), "sam2")
    assert list(back.snapshot().tracks[1].prompted) == [6]
    original = resumed(network, state, "sam2")
    for index in range(4, 12):
        assert same(back.step(blob_frame(index)), original.step(blob_frame(index)))


def test_unpacked_tensors_do_not_keep_one_another_alive() -> None:
    session = Session(ToyNetwork())
    for index in range(20):
        session.step(blob_frame(index), click(1) if index == 0 else None)
    for bank in banks(carried(session.snapshot())):
        for entry in bank.recent:
            assert entry.pointer.untyped_storage().nbytes() == entry.pointer.nbytes


def test_half_rounds_maps_and_nothing_else(network: Sam2) -> None:
    frames = moving_texture(4)
    session = Session(network)
    for number, frame in enumerate(frames):
        session.step(frame, {1: Mask(MASK)} if number == 0 else None)
    whole, half = session.snapshot(), carried(session.snapshot(), half=True)
    for expected, found in zip(next(banks(whole)).recent, next(banks(half)).recent, strict=True):
        assert expected.map is not None
        assert found.map is not None
        assert found.map.dtype == torch.float32
        assert torch.equal(found.map, expected.map.bfloat16().float())
        assert torch.equal(found.pointer, expected.pointer)
    assert torch.equal(half.tracks[1].answer.logits, whole.tracks[1].answer.logits)
    assert len(packed(whole, half=True)) < 0.75 * len(packed(whole))
    again = carried(half, half=True)
    assert all(torch.equal(a, b) for a, b in zip(maps(again), maps(half), strict=True))


def maps(state: SessionState[Any]) -> list[torch.Tensor]:
    return [e.map for b in banks(state) for e in (*b.conditioning, *b.recent) if e.map is not None]


def newest_only(network: Sam2) -> slice:
    """The keys of `FineRead`, which are read of prompted frames and the newest."""
    assert network.matching is not None
    return slice(network.config.memory_width + network.matching.extra_width, width_of(network))


def width_of(network: Sam2) -> int:
    assert network.matching is not None
    assert network.config.matching is not None
    return network.config.memory_width + network.matching.extra_width + 4 * network.config.matching.fine_width


@pytest.mark.parametrize("policy", POLICIES)
def test_channels_that_only_the_newest_map_needs_are_left_out_unnoticed(policy: str) -> None:
    matching = MatchingConfig(key_width=8, fine_width=8, attended=2)
    network = lively_network(replace(tiny_config(), matching=matching))
    frames = moving_texture(12)
    session = Session(network, policy=policy)
    session.step(frames[0], {1: Mask(MASK)})
    for frame in frames[1:9]:
        session.step(frame)
    cut = newest_only(network)
    state = session.snapshot()
    assert len(packed(state, policy, newest_only=cut)) < len(packed(state, policy))
    for before, after in zip(banks(state), banks(carried(state, policy, newest_only=cut)), strict=True):
        known = [
            (a.map, b.map) for a, b in zip(before.recent, after.recent, strict=True) if a.map is not None
        ]
        for number, (expected, found) in enumerate(known):
            assert found is not None
            kept = expected.clone()
            if number < len(known) - 1:
                kept[:, cut] = 0
            assert torch.equal(found, kept)
    goes_on_alike(network, session, policy, frames[9:], newest_only=cut)


def with_maps(change: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype) -> SessionState[Any]:
    """An object whose seven maps of five channels were made by hand."""
    torch.manual_seed(0)
    bank = full_bank(dtype, cells=900, width=5, pointer=4)
    conditioning, recent = (
        tuple(replace(e, map=None if e.map is None else change(e.map)) for e in entries)
        for entries in (bank.conditioning, bank.recent)
    )
    return one_object(LatestState(replace(bank, conditioning=conditioning, recent=recent)), 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cut", [None, slice(3, 4)])
def test_whole_128ths_take_a_byte_and_come_back_as_they_were(dtype: torch.dtype, cut: slice | None) -> None:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        steps = torch.randint(-128, 128, tensor[:, 2:].shape)
        return torch.cat((tensor[:, :2], (steps / 128).to(dtype)), dim=1)

    state = with_maps(change, dtype)
    assert len(packed(state, coarse_from=2, newest_only=cut)) < 0.85 * len(packed(state, newest_only=cut))
    again = carried(state, coarse_from=2, newest_only=cut)
    for expected, found in zip(maps(carried(state, newest_only=cut)), maps(again), strict=True):
        assert torch.equal(found, expected)
        assert found.dtype == dtype


@pytest.mark.parametrize("odd", [1.0, -1.0078125, 0.00390625, torch.nan, torch.inf])
def test_what_is_no_128th_is_not_rounded(odd: float) -> None:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        return torch.full_like(tensor, 0.5).index_fill(1, torch.tensor([3]), odd)

    state = with_maps(change, torch.float32)
    again = carried(state, coarse_from=2)
    for expected, found in zip(maps(state), maps(again), strict=True):
        assert torch.equal(found.nan_to_num(7), expected.nan_to_num(7))


@pytest.mark.parametrize("cut", [slice(0, 1), slice(2, 2), slice(2, 4), slice(3, 2)])
def test_channels_that_maps_do_not_have_cannot_be_left_out(cut: slice) -> None:
    session = Session(ToyNetwork())  # its maps have three channels
    for index in range(4):
        session.step(blob_frame(index), click(1) if index == 0 else None)
    with pytest.raises(UsageError, match="leave out of memory maps 3 wide"):
        packed(session.snapshot(), newest_only=cut)


# What a snapshot may weigh.


def entry(
    frame: int, dtype: torch.dtype, cells: int, width: int, pointer: int, coarse: int | None
) -> MemoryEntry:
    presence, iou = torch.randn(2).tolist()  # as long in digits as they get
    kept = torch.randn(cells, width, dtype=dtype)
    if coarse is not None:
        kept[:, coarse:] = torch.randint(-128, 128, kept[:, coarse:].shape) / 128
    return MemoryEntry(frame, torch.randn(pointer, dtype=dtype), presence, iou, kept)


def full_bank(
    dtype: torch.dtype, cells: int, width: int, pointer: int, *, seen: int = 15, coarse: int | None = None
) -> MemoryBank:
    """As full as a bank gets: the prompted frame, six maps, fifteen pointers."""
    bank = MemoryBank((entry(0, dtype, cells, width, pointer, coarse),))
    for frame in range(1000, 1000 + seen):
        newest = entry(frame, dtype, cells, width, pointer, coarse)
        bank = bank.with_recent(newest, maps=bank.reach(frame, 6), pointers=bank.reach(frame, 15))
    assert len(bank.recent) == 15
    return bank


def one_object(after: Any, side: int) -> SessionState[Any]:
    answer = Answer(1014, torch.randn(1, side, side), 0.8984375, 7.234375, tracked=True)
    track = Track(after, after, answer, MappingProxyType({}))
    return SessionState(1014, size=(480, 854)).with_tracks({1: track})


SAM21 = VARIANTS["sam2.1_hiera_tiny"]


@pytest.mark.parametrize(("dtype", "half"), [(torch.float32, True), (torch.bfloat16, False)])
@pytest.mark.parametrize("policy", ["sam2", "samurai"])
def test_an_object_of_sam21_takes_less_than_6_mib(dtype: torch.dtype, half: bool, policy: str) -> None:
    bank = full_bank(dtype, SAM21.grid**2, SAM21.memory_width, SAM21.width)
    after = LatestState(bank) if policy == "sam2" else SamuraiState(bank, frozenset(range(1009, 1015)))
    data = packed(one_object(after, 4 * SAM21.grid), policy, SHA256, half=half)
    assert 3.5 * MIB < len(data) <= 6 * MIB


def test_accounts_of_sam2long_that_share_nothing_bound_its_size() -> None:
    paths = tuple(
        Pathway(full_bank(torch.bfloat16, SAM21.grid**2, SAM21.memory_width, SAM21.width)) for _ in range(3)
    )
    assert len(packed(one_object(Sam2LongState(paths, (0, 1, 2)), 256), "sam2long", SHA256)) <= 12 * MIB


@pytest.mark.parametrize(("dtype", "half"), [(torch.float32, True), (torch.bfloat16, False)])
def test_an_object_of_pocket_takes_less_than_1_mib(pocket: Sam2, dtype: torch.dtype, half: bool) -> None:
    config = pocket.config
    bank = full_bank(dtype, config.grid**2, width_of(pocket), config.width, coarse=pocket.coarse_from)
    state = one_object(LatestState(bank), 4 * config.grid)
    kept: dict[str, Any] = {"newest_only": newest_only(pocket), "coarse_from": pocket.coarse_from}
    assert 0.6 * MIB < len(packed(state, "sam2", SHA256, half=half, **kept)) <= MIB


@pytest.fixture(scope="module")
def pocket() -> Sam2:
    from keepsight import load_model

    network = load_model("pocket", device="cpu")
    assert isinstance(network, Sam2)
    return network


@pytest.mark.slow
def test_pocket_itself_goes_on_bit_for_bit(pocket: Sam2) -> None:
    frames = moving_texture(8)
    session = Session(pocket)
    session.step(frames[0], {1: Box(12, 27, 48, 63)})
    for frame in frames[1:5]:
        session.step(frame)
    assert maps(session.snapshot())[0].shape == (pocket.config.grid**2, width_of(pocket))
    kept: dict[str, Any] = {"newest_only": newest_only(pocket), "coarse_from": pocket.coarse_from}
    stored = header_of(packed(session.snapshot(), fingerprint=SHA256, **kept))
    assert any(group[0] == "128ths" for group in stored["groups"])
    goes_on_alike(pocket, session, "sam2", frames[5:], **kept)


# What is refused.


@pytest.fixture(scope="module")
def data() -> bytes:
    session = Session(ToyNetwork(), policy="samurai")
    for index in range(9):
        session.step(blob_frame(index), {**click(1), **click(2)} if index == 0 else None)
    return packed(session.snapshot(), "samurai")


def read(data: bytes, **settings: Any) -> Snapshot:
    return unpack(data, **{"fingerprint": "toy", "policy": "samurai", **settings})


def test_every_truncation_is_found(data: bytes) -> None:
    for length in (*range(200), len(data) // 2, len(data) - 1):
        with pytest.raises(DamagedSnapshotError, match=r"Start the objects anew\.$"):
            read(data[:length])
    with pytest.raises(DamagedSnapshotError, match="appended"):
        read(data + b"\0")


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_changed_bit_is_found(data: bytes, place: float, bit: int) -> None:
    changed = bytearray(data)
    changed[int(place * len(data))] ^= 1 << bit
    with pytest.raises(SnapshotError):
        read(bytes(changed))


@pytest.mark.parametrize(
    "other", [b"", b"no snapshot", b"\x80\x04\x95" + bytes(99), save({"a": torch.ones(3)})]
)
def test_what_is_no_snapshot_is_refused(other: bytes) -> None:
    with pytest.raises(DamagedSnapshotError, match="as keepsight writes it"):
        read(other)


def test_another_format_is_refused_before_it_is_read(data: bytes) -> None:
    newer = data[:8] + struct.pack("<I", FORMAT + 1) + data[12:]
    with pytest.raises(SnapshotFormatError, match=f"format {FORMAT}, but got format {FORMAT + 1}"):
        read(newer)


FOREIGN: list[tuple[dict[str, Any], str]] = [
    ({"fingerprint": "other"}, "model 'other', but got 'toy'"),
    ({"policy": "sam2"}, "policy 'sam2', but got 'samurai'"),
    ({"size": (48, 81)}, r"\(48, 81\), but got \(48, 80\)"),
    ({"shape_types": {1: "polygon", 2: "polygon"}}, "shape types .* but got {1: 'polygon', 2: 'mask'}"),
    ({"shape_types": {1: "polygon"}}, "shape types"),
]


@pytest.mark.parametrize(("expected", "message"), FOREIGN)
def test_snapshots_of_something_else_are_refused(data: bytes, expected: dict[str, Any], message: str) -> None:
    assert read(data, size=(48, 80), shape_types={1: "polygon", 2: "mask"}).state.index == 8
    with pytest.raises(ForeignSnapshotError, match=message):
        read(data, **expected)


def test_data_that_is_too_long_is_not_looked_at(data: bytes) -> None:
    with pytest.raises(DamagedSnapshotError, match=f"at most {len(data) - 1} bytes, but got {len(data)}"):
        read(data, max_bytes=len(data) - 1)
    assert read(data, max_bytes=len(data)).state.index == 8


def header_of(data: bytes) -> Any:
    from keepsight.session.snapshot import _FRAME

    payload = data[_FRAME.size :]
    (length,) = struct.unpack_from("<Q", payload)
    return json.loads(json.loads(payload[8 : 8 + length])["__metadata__"]["keepsight"])


def forged(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The same snapshot with another header, and a checksum that is right."""
    from keepsight.session.snapshot import _FRAME, _MAGIC, _checksum

    header = header_of(data)
    header = change(header) or header
    made = save(load(data[_FRAME.size :]), {"keepsight": json.dumps(header)})
    return _FRAME.pack(_MAGIC, FORMAT, len(made), _checksum(made)) + made


def test_other_fields_are_another_version(data: bytes) -> None:
    with pytest.raises(SnapshotFormatError, match="fields that this version"):
        read(forged(data, lambda header: header.update(layout="0" * 32)))


FORGERIES: list[Callable[[dict[str, Any]], Any]] = [
    lambda h: h.pop("layout"),
    lambda h: h.pop("objects"),
    lambda h: [1, 2],
    lambda h: h.update(index="8"),
    lambda h: h.update(index=True),
    lambda h: h.update(size=[48]),
    lambda h: h.update(size=[48, 80, 3]),
    lambda h: h.update(groups=[]),
    lambda h: h.update(groups=[["float128", False]] * 9),
    lambda h: h.update(groups=[[None, True]] * 9),
    lambda h: h.update(groups=[[None, True]] * 9, cut=[2, 10**12]),
    lambda h: h.update(groups=[[None, True]] * 9, cut=[-5, 3]),
    lambda h: h["objects"][0].update(after=None),
    lambda h: h["objects"][0].update(after=[[[], [], True], [], None]),
    lambda h: h["objects"][0].update(after={"__class__": "os.system", "args": ["true"]}),
    lambda h: h["objects"][0].update(after=[[[[0, [99, 0], 1.0, 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [-1, 0], 1.0, 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 10**9], 1.0, 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 10**30], 1.0, 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 0], "1", 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0.5, [0, 0], 1.0, 1.0, None]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 0], 1.0, 1.0, [0, 0, 0, 0]]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 0], 1.0, 1.0, [0, 0, 0]]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(after=[[[[0, [0, 0], 1.0, 1.0, []]], [], True], [], None, 0]),
    lambda h: h["objects"][0].update(id="1"),
    lambda h: h["objects"][0].update(answer=[]),
    lambda h: h["objects"][0].update(ahead=7),
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_forged_headers_are_refused(data: bytes, forge: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(DamagedSnapshotError, match="does not hold what a snapshot holds"):
        read(forged(data, forge))


def test_headers_as_deep_or_long_as_can_be_are_refused(data: bytes) -> None:
    from keepsight.session.snapshot import _FRAME, _MAGIC, MAX_HEADER_BYTES, _checksum

    def framed(header: bytes, length: int | None = None) -> bytes:
        payload = struct.pack("<Q", len(header) if length is None else length) + header
        return _FRAME.pack(_MAGIC, FORMAT, len(payload), _checksum(payload)) + payload

    deep = b"[" * 200_000
    for payload in (framed(deep), framed(b"{}"), framed(b"", 2**60), framed(bytes(MAX_HEADER_BYTES + 1))):
        with pytest.raises(DamagedSnapshotError):
            read(payload)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**32))
def test_no_forged_header_does_anything_but_be_refused_or_read(data: bytes, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def scrambled(value: Any) -> Any:
        if rng.random() < 0.01:
            return [None, -1, 10**30, 0.5, True, "x", [], {}, [0, 0], [[]]][rng.integers(10)]
        if isinstance(value, dict):
            return {k: scrambled(v) for k, v in value.items() if rng.random() > 0.003}
        if isinstance(value, list):
            return [scrambled(v) for v in value if rng.random() > 0.003]
        return value

    try:
        read(forged(data, scrambled))
    except SnapshotError:
        pass


def test_misuse_is_refused() -> None:
    session = Session(ToyNetwork())
    with pytest.raises(UsageError, match="has seen a frame"):
        packed(session.snapshot())
    session.step(blob_frame(0), click(1))
    state = session.snapshot()
    with pytest.raises(PolicyError, match="policy 'samurai', but got LatestState"):
        packed(state, "samurai")
    with pytest.raises(PolicyError, match="one of sam2, samurai, sam2long, but got 'mine'"):
        packed(state, "mine")
    with pytest.raises(PolicyError, match="'mine'"):
        unpack(packed(state), fingerprint="toy", policy="mine")
    with pytest.raises(UsageError, match=r"for each object, \[1\], but got them for \[2\]"):
        pack(state, fingerprint="toy", policy="sam2", shape_types={2: "mask"})
    odd = replace(state.tracks[1], after=LatestState(MemoryBank(forward="yes")))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="holds a str"):
        packed(state.with_tracks({1: odd}))


def test_a_session_without_objects_can_be_kept_too() -> None:
    session = Session(ToyNetwork(), policy=LatestPolicy())
    session.step(blob_frame(0))
    state = carried(session.snapshot())
    assert (state.index, state.size, dict(state.tracks)) == (0, (48, 80), {})
