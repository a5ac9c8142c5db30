"""A session's state as bytes and back: what a server keeps of a session between two requests.

The bytes are a frame (`ksnapsht`, format number, length, checksum) around a safetensors file, whose metadata
holds everything that is not a tensor as JSON. Nothing is pickled, and no class is named in the data: the
policy's name picks the class of state, and its declared fields say what is read.

Tracking on from an unpacked state gives what tracking on from the state itself gives, to the last bit unless
`half` is used. What tracking on never reads is not kept: what was said of frames already passed, with the
answers to it; the state before the last frame, in whose place the state after it is put; what `finish` would
revise. So a correction of the very last frame recalls one map and one pointer less than it would have, and
`finish` has nothing to say of what lies before the snapshot.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from keepsight.errors import (
    DamagedSnapshotError,
    ForeignSnapshotError,
    PolicyError,
    SnapshotError,
    SnapshotFormatError,
    UsageError,
)
from keepsight.memory.latest import LatestState
from keepsight.memory.sam2long import Sam2LongState
from keepsight.memory.samurai import SamuraiState
from keepsight.session.clicks import Clicks
from keepsight.session.state import Answer, Prompted, SessionState, Track
from keepsight.session.state_tree import Group, StateReader, StateWriter, layout

__all__ = ["MAX_BYTES", "Snapshot", "pack", "unpack"]

MAX_BYTES = 64 * 2**20  # of a snapshot that is read, unless more is allowed
MAX_HEADER_BYTES = 4 * 2**20

FORMAT = 2
_MAGIC = b"ksnapsht"
_FRAME = struct.Struct("<8sIQ16s")
_LENGTH = struct.Struct("<Q")  # how safetensors files begin
_KEY = "keepsight"

# Each policy's class of state: these and what they declare to hold are all that data can bring to life.
_STATES: dict[str, type] = {"sam2": LatestState, "samurai": SamuraiState, "sam2long": Sam2LongState}

_AGAIN = "Start the objects anew."


class Snapshot(NamedTuple):
    """An unpacked snapshot: the state, and by object id the kind of shape that its user works with."""

    state: SessionState[Any]
    shape_types: Mapping[int, str]


def pack(
    state: SessionState[Any],
    *,
    fingerprint: str,
    policy: str,
    shape_types: Mapping[int, str],
    half: bool = False,
    newest_only: slice | None = None,
    coarse_from: int | None = None,
) -> bytes:
    """Writes a state down.

    Args:
        state: from `Session.snapshot`; memory is kept exactly as it is there.
        fingerprint: names the network (see `weights.save.fingerprint`) and all else that results depend on.
        policy: the name of the policy whose state it is.
        shape_types: by object id, what the object's user drew and wants back ("polygon", "mask", ...).
        half: store float32 memory maps as bfloat16, as SAM 2's own predictor keeps them; half the size, and
            rounded. Maps that are bfloat16 already are kept as they are either way.
        newest_only: channels of memory maps that the network reads of prompted frames and of the newest
            tracked frame only. They are left out elsewhere. None where the network reads all, as SAM 2 does.
        coarse_from: the first of the channels of memory maps that the network keeps in whole 128ths; they
            take a byte each. Nothing is rounded: maps that hold anything else there are stored as they are.

    Raises:
        PolicyError: no policy of this name comes with keepsight, or the state is another one's.
        UsageError: no frame was seen yet, an object lacks a shape type, or `newest_only` does not fit.
    """
    if state.index is None or state.size is None:
        raise UsageError("Expected the state of a session that has seen a frame. Call step first.")
    kind = _state_class(policy)
    strangers = {type(track.after).__name__ for track in state.tracks.values()} - {kind.__name__}
    if strangers:
        raise PolicyError(
            f"Expected a state of the policy {policy!r}, but got {', '.join(sorted(strangers))}."
        )
    if shape_types.keys() != state.tracks.keys():
        raise UsageError(
            f"Expected a shape type for each object, {sorted(state.tracks)}, but got them for "
            f"{sorted(shape_types)}."
        )
    writer = StateWriter(origin=state.index, half=half, cut=newest_only, coarse=coarse_from)
    objects = [
        {
            "id": int(object_id),
            "shape_type": str(shape_types[object_id]),
            "after": writer.plain(track.after),
            "answer": writer.plain(track.answer),
            "fresh": track.before is None,
            "ahead": writer.plain(_ahead(state, track)),
        }
        for object_id, track in state.tracks.items()
    ]
    header = {
        "layout": _layout(kind),
        "fingerprint": fingerprint,
        "policy": policy,
        "index": int(state.index),
        "forward": bool(state.forward),
        "size": [int(side) for side in state.size],
        "objects": objects,
        "groups": writer.groups,
        "cut": None if newest_only is None else [newest_only.start, newest_only.stop],
    }
    payload = save(writer.stacked(), {_KEY: json.dumps(header, separators=(",", ":"))})
    return _FRAME.pack(_MAGIC, FORMAT, len(payload), _checksum(payload)) + payload


def unpack(
    data: bytes,
    *,
    fingerprint: str,
    policy: str,
    size: tuple[int, int] | None = None,
    shape_types: Mapping[int, str] | None = None,
    index: int | None = None,
    device: torch.device | str = "cpu",
    max_bytes: int = MAX_BYTES,
) -> Snapshot:
    """Reads a state back.

    Args:
        data: what `pack` returned.
        fingerprint: what the snapshot's must be.
        policy: likewise.
        size: (height, width) that its frames must have; None for any.
        shape_types: what its objects' must be; None for any.
        index: the number that the snapshot's last frame is to have, all others counted from it; None for the
            one it had. Objects of several snapshots with one number can go on in one session.
        device: where its tensors are to be, which is where the network is.
        max_bytes: the longest data to look at.

    Raises:
        DamagedSnapshotError: the data is truncated, changed, too long, or no snapshot.
        SnapshotFormatError: another version of keepsight wrote it.
        ForeignSnapshotError: its fingerprint, policy, size or shape types are not those expected.
        PolicyError: no policy of this name comes with keepsight.
    """
    kind = _state_class(policy)
    payload = _opened(data, max_bytes)
    with _damage_reported():
        header = _header(payload)
        if header["layout"] != _layout(kind) and header["policy"] == policy:
            raise SnapshotFormatError(
                f"Expected a snapshot whose state has the fields that this version of keepsight knows, but "
                f"another version wrote it. {_AGAIN}"
            )
        _require_same("a snapshot of the model", fingerprint, header["fingerprint"])
        _require_same("a snapshot of the policy", policy, header["policy"])
        if size is not None:
            _require_same("frames of (height, width)", tuple(size), tuple(header["size"]))
        found = {_whole(entry["id"]): str(entry["shape_type"]) for entry in header["objects"]}
        if shape_types is not None:
            _require_same("the objects' shape types", dict(shape_types), found)
        at = _whole(header["index"]) if index is None else index
        return Snapshot(_state(header, load(payload), kind, at, device), MappingProxyType(found))


def _state_class(policy: str) -> type:
    if policy not in _STATES:
        raise PolicyError(
            f"Expected a policy whose states can be packed, one of {', '.join(_STATES)}, but got {policy!r}. "
            f"States of policies of your own stay in the process."
        )
    return _STATES[policy]


def _ahead(state: SessionState[Any], track: Track[Any]) -> tuple[Answer, ...]:
    """The answers on prompted frames that tracking is still to pass."""
    way = 1 if state.forward else -1
    index = state.index or 0
    return tuple(p.answer for frame, p in track.prompted.items() if (frame - index) * way > 0)


def _layout(kind: type) -> str:
    """A name for the fields that are written; data with other fields is of another version."""
    return _checksum((layout(kind) + layout(Answer)).encode()).hex()


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _opened(data: bytes, max_bytes: int) -> bytes:
    """What is in the frame, once it is known to be what was written."""
    if len(data) > max_bytes:
        raise DamagedSnapshotError(
            f"Expected a snapshot of at most {max_bytes} bytes, but got {len(data)}. "
            f"Allow more with max_bytes."
        )
    if len(data) < _FRAME.size or not data.startswith(_MAGIC):
        raise DamagedSnapshotError(
            f"Expected a snapshot as keepsight writes it, but got {len(data)} bytes that begin with "
            f"{bytes(data[:8])!r}. {_AGAIN}"
        )
    _, number, length, checksum = _FRAME.unpack_from(data)
    if number != FORMAT:
        raise SnapshotFormatError(
            f"Expected a snapshot of format {FORMAT}, but got format {number}: another version of keepsight "
            f"wrote it. {_AGAIN}"
        )
    payload = bytes(data[_FRAME.size :])
    if len(payload) != length:
        raise DamagedSnapshotError(
            f"Expected {length} bytes after the snapshot's first {_FRAME.size}, but got {len(payload)}: it "
            f"is truncated, or something was appended. {_AGAIN}"
        )
    if _checksum(payload) != checksum:
        raise DamagedSnapshotError(f"The snapshot's checksum is wrong: its bytes were changed. {_AGAIN}")
    return payload


def _header(payload: bytes) -> dict[str, Any]:
    """The JSON in the safetensors file's metadata."""
    (length,) = _LENGTH.unpack_from(payload)
    if length > min(MAX_HEADER_BYTES, len(payload) - _LENGTH.size):
        raise ValueError(f"a header of {length} bytes")
    metadata = json.loads(payload[_LENGTH.size : _LENGTH.size + length])["__metadata__"]
    header: dict[str, Any] = json.loads(metadata[_KEY])
    return header


@contextmanager
def _damage_reported() -> Iterator[None]:
    """Whatever else is wrong with data whose checksum is right: then it was made to be wrong."""
    try:
        yield
    except SnapshotError:
        raise
    except (SafetensorError, LookupError, TypeError, ValueError, RecursionError, struct.error) as error:
        raise DamagedSnapshotError(
            f"The snapshot does not hold what a snapshot holds ({type(error).__name__}: {error}). {_AGAIN}"
        ) from error


def _require_same(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise ForeignSnapshotError(f"Expected {what} {expected!r}, but got {found!r}. {_AGAIN}")


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"expected a whole number, got {value!r}")
    return value


def _state(
    header: Mapping[str, Any],
    stacked: Mapping[str, Tensor],
    kind: type,
    index: int,
    device: torch.device | str,
) -> SessionState[Any]:
    cut = header["cut"]
    reader = StateReader(
        stacked,
        [Group(*group) for group in header["groups"]],
        cut=None if cut is None else (_whole(cut[0]), _whole(cut[1])),
        origin=index,
        device=device,
    )
    height, width = (_whole(side) for side in header["size"])
    tracks = {o["id"]: _track(o, kind, reader, (height, width)) for o in header["objects"]}
    state: SessionState[Any] = SessionState(index, header["forward"] is True, (height, width))
    return state.with_tracks(tracks)


def _track(entry: Mapping[str, Any], kind: type, reader: StateReader, size: tuple[int, int]) -> Track[Any]:
    after = reader.build(entry["after"], kind)
    answer = reader.build(entry["answer"], Answer)
    ahead: Sequence[Answer] = reader.build(entry["ahead"], tuple[Answer, ...])
    prompted = {a.frame: Prompted(Clicks(size), a) for a in ahead}
    return Track(None if entry["fresh"] is True else after, after, answer, MappingProxyType(prompted))
