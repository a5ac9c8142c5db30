"""Trees of states as plain lists and numbers, with their tensors apart, and back.

The way back is led by the types that the state classes declare: no class is ever named in the data, nothing
but the values of declared fields is taken, and each must be of its declared type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from keepsight.errors import UsageError
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.sam2long import Pathway
from keepsight.memory.samurai import SamuraiState
from keepsight.session.state import Answer

__all__ = ["Group", "StateReader", "StateWriter", "layout"]

# Fields that hold numbers of frames.
_FRAMES = {(Answer, "frame"), (MemoryEntry, "frame"), (SamuraiState, "gated")}
# Fields that tracking on does not need: what `finish` would revise of frames already answered.
_LEFT_OUT = {(Pathway, "trail")}

_COARSE = "128ths"  # the dtype of a group of int8 that count 128ths
_STEPS = 128
_HALVED = (torch.float32, torch.float64)
_DTYPES = {"float32": torch.float32, "float64": torch.float64}
# A cut map may come back at most so many times wider than it was stored.
_WIDEST = 16


class Group(NamedTuple):
    """How a group of tensors is stored: the type to bring them back to, and whether channels are cut.

    A map whose last channels are coarse has its place in two groups: those channels follow in bytes.
    """

    dtype: str | None
    cut: bool


def _hints(kind: type) -> dict[str, Any]:
    """The fields of a dataclass or named tuple that are kept, with their types."""
    names = [f.name for f in fields(kind)] if is_dataclass(kind) else list(getattr(kind, "_fields", ()))
    types = get_type_hints(kind)
    return {name: types[name] for name in names if (kind, name) not in _LEFT_OUT}


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields"))


def layout(kind: Any) -> str:
    """What a tree of this type looks like, spelled out: it differs as soon as a field does."""
    if _is_record(kind):
        inner = ",".join(f"{name}:{layout(hint)}" for name, hint in _hints(kind).items())
        return f"{kind.__name__}({inner})"
    origin = get_origin(kind)
    if origin in (UnionType, Union):
        return "|".join(layout(option) for option in get_args(kind))
    if origin is np.ndarray:
        return "array"
    if origin is not None:
        return f"{origin.__name__}[{','.join(layout(a) for a in get_args(kind) if a is not Ellipsis)}]"
    return str(kind.__name__)


class StateWriter:
    """Takes states apart.

    Args:
        origin: frames are counted from here.
        half: whether memory maps are stored as bfloat16.
        cut: channels that are left out of memory maps, but for those of prompted frames and the newest.
        coarse: the first of the memory maps' channels that are stored in bytes, where they are whole 128ths.
    """

    def __init__(self, *, origin: int, half: bool, cut: slice | None, coarse: int | None = None) -> None:
        self._origin, self._half, self._cut, self._coarse = origin, half, cut, coarse
        self._groups: dict[tuple[Group, torch.dtype, torch.Size], list[Tensor]] = {}
        # By the tensor's identity, which nobody else gets: the state, or a row, keeps the tensor alive.
        self._known: dict[tuple[int, Group], list[int]] = {}
        self._whole: set[int] = set()

    @property
    def groups(self) -> list[Group]:
        """How each stacked tensor is stored, in their order."""
        return [group for group, _, _ in self._groups]

    def stacked(self) -> dict[str, Tensor]:
        """The tensors, those of equal shape and type as one, by the number of their group."""
        return {
            str(number): torch.stack(rows).detach().cpu() for number, rows in enumerate(self._groups.values())
        }

    def plain(self, value: Any) -> Any:
        """A tree as lists, numbers and None; a tensor becomes the numbers of its group and row, or of two.

        Raises:
            UsageError: something in it is of a kind that states do not have.
        """
        if isinstance(value, Tensor):
            return self._place(value, Group(None, False))
        if isinstance(value, np.ndarray):
            return self.plain(torch.from_numpy(np.ascontiguousarray(value)))
        if _is_record(type(value)):
            return self._record(value)
        if isinstance(value, frozenset):
            return [self.plain(item) for item in sorted(value)]
        if isinstance(value, tuple):
            return [self.plain(item) for item in value]
        return _number(value)

    def _record(self, value: Any) -> list[Any]:
        if isinstance(value, MemoryBank):
            newest = [entry for entry in value.recent if entry.map is not None][-1:]
            self._whole = {id(entry.map) for entry in (*value.conditioning, *newest)}
        return [self._field(type(value), name, getattr(value, name)) for name in _hints(type(value))]

    def _field(self, kind: type, name: str, value: Any) -> Any:
        if kind is MemoryEntry and name == "map" and value is not None:
            return self._map(value)
        if (kind, name) in _FRAMES:
            many = isinstance(value, frozenset)
            return [int(f) - self._origin for f in sorted(value)] if many else int(value) - self._origin
        return self.plain(value)

    def _map(self, tensor: Tensor) -> list[int]:
        dtype = str(tensor.dtype).removeprefix("torch.") if self._half and tensor.dtype in _HALVED else None
        cut = self._cut is not None and id(tensor) not in self._whole
        return self._place(tensor, Group(dtype, cut), self._coarse)

    def _place(self, tensor: Tensor, group: Group, coarse: int | None = None) -> list[int]:
        known = (id(tensor), group)
        if known not in self._known:
            stored = self._narrowed(tensor) if group.cut else tensor
            packed = None if coarse is None else _in_bytes(stored[..., coarse:])
            fine = stored if packed is None else stored[..., :coarse]
            if group.dtype is not None:
                fine = fine.to(torch.bfloat16)
            self._known[known] = self._add(fine, group)
            if packed is not None:
                self._known[known] += self._add(packed, Group(_COARSE, False))
        return self._known[known]

    def _add(self, stored: Tensor, group: Group) -> list[int]:
        """The numbers of the group and row that a tensor now has."""
        key = (group, stored.dtype, stored.shape)
        rows = self._groups.setdefault(key, [])
        rows.append(stored)
        return [list(self._groups).index(key), len(rows) - 1]

    def _narrowed(self, tensor: Tensor) -> Tensor:
        cut, width = self._cut, tensor.shape[-1]
        if cut is None or not 0 < cut.start < cut.stop <= min(width, _WIDEST * cut.start):
            raise UsageError(
                f"Expected channels to leave out of memory maps {width} wide, but got {cut}. "
                f"Name channels behind those that stay, and not many times as many."
            )
        return torch.cat((tensor[..., : cut.start], tensor[..., cut.stop :]), dim=-1)


def _in_bytes(channels: Tensor) -> Tensor | None:
    """Whole 128ths as int8, None where they are not or would not fit."""
    steps = channels.float() * _STEPS
    packed = steps.clamp(-128, 127).to(torch.int8)
    return packed if channels.shape[-1] and torch.equal(packed.float(), steps) else None


def _number(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise UsageError(
        f"Expected a state of tensors, numbers, tuples and keepsight's own classes, but it holds a "
        f"{type(value).__name__}. Only states of the policies that come with keepsight can be packed."
    )


class StateReader:
    """Puts states together again.

    Args:
        stacked: what `StateWriter.stacked` returned.
        groups: what `StateWriter.groups` returned.
        cut: start and stop of the channels that were left out; they come back as zeros.
        origin: what frames are counted from.
        device: where tensors are to be.
    """

    def __init__(
        self,
        stacked: Mapping[str, Tensor],
        groups: Sequence[Group],
        *,
        cut: tuple[int, int] | None,
        origin: int,
        device: torch.device | str,
    ) -> None:
        self._stacked, self._groups = stacked, groups
        self._cut, self._origin, self._device = cut, origin, device
        self._built: dict[tuple[int, ...], Tensor] = {}

    def build(self, plain: Any, kind: Any) -> Any:
        """A tree of the given type.

        Raises:
            TypeError, ValueError, KeyError, IndexError: the data is not of this type.
        """
        if kind is Tensor:
            return self._tensor(plain).to(self._device)
        origin = get_origin(kind)
        if origin is np.ndarray:
            return self._tensor(plain).numpy()
        if origin in (UnionType, Union):
            (inner,) = (option for option in get_args(kind) if option is not type(None))
            return None if plain is None else self.build(plain, inner)
        if origin in (tuple, frozenset):
            return origin(self.build(item, get_args(kind)[0]) for item in _as(plain, list))
        if _is_record(kind):
            return self._record(_as(plain, list), kind)
        return _as(plain, kind)

    def _record(self, plain: list[Any], kind: Any) -> Any:
        hints = _hints(kind)
        values = {
            name: self._field(value, kind, name, hint)
            for (name, hint), value in zip(hints.items(), plain, strict=True)
        }
        return kind(**values)

    def _field(self, plain: Any, kind: type, name: str, hint: Any) -> Any:
        value = self.build(plain, hint)
        if (kind, name) not in _FRAMES:
            return value
        many = isinstance(value, frozenset)
        return frozenset(f + self._origin for f in value) if many else value + self._origin

    def _tensor(self, plain: Any) -> Tensor:
        place = tuple(_as(n, int) for n in _as(plain, list))
        if place not in self._built:
            number, row, *coarse = place
            tensor, group = self._row(number, row), self._groups[number]
            if coarse:
                tensor = _joined(tensor, self._row(*coarse))
            if group.cut:
                tensor = self._widened(tensor)
            self._built[place] = tensor if group.dtype is None else tensor.to(_DTYPES[group.dtype])
        return self._built[place]

    def _row(self, number: int, row: int) -> Tensor:
        if number < 0 or row < 0:
            raise IndexError("a tensor's place is negative")
        # A clone, so that a state which outlives the others does not keep all of them.
        return self._stacked[str(number)][row].clone()

    def _widened(self, tensor: Tensor) -> Tensor:
        if self._cut is None:
            raise ValueError("channels are cut, but it is not said which")
        start, stop = self._cut
        if not 0 <= start <= stop or start > tensor.shape[-1] or stop - start > _WIDEST * tensor.shape[-1]:
            raise ValueError(f"channels {start} to {stop} cannot be missing from {tensor.shape[-1]}")
        blank = tensor.new_zeros(*tensor.shape[:-1], stop - start)
        return torch.cat((tensor[..., :start], blank, tensor[..., start:]), dim=-1)


def _joined(fine: Tensor, coarse: Tensor) -> Tensor:
    """A map of its first channels and of the others in 128ths."""
    if coarse.dtype != torch.int8 or not fine.is_floating_point() or coarse.shape[:-1] != fine.shape[:-1]:
        raise ValueError(f"channels {tuple(coarse.shape)} do not go on from {tuple(fine.shape)}")
    return torch.cat((fine, coarse.to(fine.dtype) / _STEPS), dim=-1)


def _as(value: Any, kind: type) -> Any:
    """The value, if it is of this very type; a whole number also counts as a fraction, True not as 1."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value
