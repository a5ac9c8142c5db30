"""The states a tracker keeps so that it can go back: few, and on disk past a bound."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from keepsight.session import SessionState

__all__ = ["StateArchive"]

FIRST_SPACING = 8
MOST_STATES = 64
RESIDENT_BYTES = 512 * 2**20


class _Place(NamedTuple):
    """Where a tensor was in a state whose tensors are on disk."""

    key: str
    device: str


class _Folder:
    """A temporary folder, made when the first file is asked for, gone with the last archive."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._names = count()

    def new_file(self) -> Path:
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="keepsight-states-"))
            weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)
        return self._path / f"{next(self._names)}.safetensors"


class _Spilled:
    """A state whose tensors lie in a file, which goes when nobody names the state any more."""

    def __init__(self, state: Any, path: Path) -> None:
        tensors: dict[str, Tensor] = {}

        def place(tensor: Tensor) -> _Place:
            key = str(len(tensors))
            tensors[key] = tensor.cpu().contiguous().clone()
            return _Place(key, str(tensor.device))

        self._skeleton = _mapped(state, Tensor, place)
        self._path = path
        save_file(tensors, path)
        weakref.finalize(self, path.unlink, missing_ok=True)

    def load(self) -> Any:
        tensors = load_file(self._path)
        return _mapped(self._skeleton, _Place, lambda place: tensors[place.key].to(place.device))


class StateArchive:
    """Session states by frame number.

    States are kept every few frames; when they become many, every other one is dropped, so that their
    number is bounded however long the video. Pinned ones (prompted frames, starts of passes) always stay.

    Args:
        resident_bytes: how much tensor memory the states may hold before the oldest go to disk.
    """

    def __init__(self, resident_bytes: int = RESIDENT_BYTES) -> None:
        self._resident_bytes = resident_bytes
        self._folder = _Folder()
        self._states: dict[int, SessionState[Any] | _Spilled] = {}
        self._sizes: dict[int, int] = {}
        self._pinned: set[int] = set()
        self._ends: set[int] = set()
        self._spacing = FIRST_SPACING
        self._latest: int | None = None

    def fork(self) -> "StateArchive":
        """A second archive with the same states; they share tensors and files."""
        twin = StateArchive.__new__(StateArchive)
        twin._folder, twin._spacing = self._folder, self._spacing
        twin._states = dict(self._states)
        twin._pinned, twin._ends = set(self._pinned), set(self._ends)
        twin._latest = self._latest
        twin._sizes, twin._resident_bytes = dict(self._sizes), self._resident_bytes
        return twin

    def __contains__(self, frame: int) -> bool:
        return frame in self._states

    def get(self, frame: int) -> SessionState[Any]:
        """The state after a frame.

        Raises:
            KeyError: none is kept.
        """
        state = self._states[frame]
        loaded: SessionState[Any] = state.load() if isinstance(state, _Spilled) else state
        return loaded

    def put(self, state: SessionState[Any], *, pinned: bool) -> None:
        """Keeps a state for good if it is pinned or its frame is due, else until the next one comes."""
        if state.index is None:
            return
        if pinned:
            self._pinned.add(state.index)
        if self._latest is not None and not self._stays(self._latest):
            self._states.pop(self._latest, None)
        self._latest = state.index
        self._states[state.index] = state
        self._sizes[state.index] = _bytes(state)
        self._thin()
        self._spill()

    def hold(self, frame: int) -> None:
        """Keeps the state at the end of a pass, until `release`."""
        self._ends.add(frame)

    def release(self, frame: int) -> None:
        """The pass goes on: the state where it ended is kept only if it is pinned or due."""
        self._ends.discard(frame)

    def _stays(self, frame: int) -> bool:
        return frame in self._pinned or frame in self._ends or frame % self._spacing == 0

    def _thin(self) -> None:
        while len(self._states) - len(self._pinned | self._ends) > MOST_STATES:
            self._spacing *= 2
            kept = {f: s for f, s in self._states.items() if self._stays(f) or f == self._latest}
            self._states = kept

    def _spill(self) -> None:
        """Writes the states kept longest to disk until the rest fits the bound."""
        resident = [f for f, s in self._states.items() if isinstance(s, SessionState)]
        total = sum(self._sizes[f] for f in resident)
        for frame in resident[:-1]:
            if total <= self._resident_bytes:
                return
            self._states[frame] = _Spilled(self._states[frame], self._folder.new_file())
            total -= self._sizes[frame]


def _bytes(state: Any) -> int:
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        sizes[tensor.data_ptr()] = tensor.nbytes
        return tensor

    _mapped(state, Tensor, note)
    return sum(sizes.values())


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """A copy of a tree of frozen values with all leaves of one kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return MappingProxyType({k: _mapped(v, kind, change) for k, v in value.items()})
    if type(value) in (tuple, list):
        return type(value)(_mapped(v, kind, change) for v in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: _mapped(getattr(value, f.name), kind, change) for f in fields(value) if f.init}
        return replace(value, **changed)
    return value
