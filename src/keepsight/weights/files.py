"""Tensors in files: PyTorch's `.pt` without unpickling code, and safetensors; read one at a time."""

import os
import pickle
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from keepsight.errors import OutputError, WeightsError

__all__ = ["TensorFile", "read_tensors", "write_tensors"]

# What torch's restricted unpickler raises on damaged or foreign bytes.
_DAMAGE = (
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OSError,
    struct.error,
)


class TensorFile(Mapping[str, Tensor]):
    """The tensors of one checkpoint by name, read when asked for, on the CPU.

    Args:
        path: the file.
        shapes: each tensor's shape.
        read: fetches one tensor.
        metadata: texts that came with the tensors; empty for `.pt`.
    """

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], Tensor],
        metadata: Mapping[str, str],
    ) -> None:
        self.path = path
        self.shapes = shapes
        self.metadata = metadata
        self._read = read

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.shapes:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def read_tensors(path: Path) -> TensorFile:
    """Opens a checkpoint, whatever its name ends in.

    Raises:
        WeightsError: the file is missing, truncated, no checkpoint, or a pickle that would run code.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(256)
    except FileNotFoundError:
        raise WeightsError(
            f"The checkpoint {path} does not exist. Check the path, or name a model of the catalogue "
            f"(`keepsight models` lists them)."
        ) from None
    except OSError as error:
        raise WeightsError(
            f"The checkpoint {path} cannot be read ({error}). Pass a readable .pt or .safetensors file."
        ) from error
    return _opener(path, head, size)(path)


def _opener(path: Path, head: bytes, size: int) -> Callable[[Path], TensorFile]:
    """How to read a file that begins with these bytes."""
    if head[8:9] == b"{":  # asked first: the length of the header, before it, may begin like a pickle
        return _read_safetensors
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return _read_torch
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a git-lfs pointer of {size} bytes, not the checkpoint it points to. Run `git lfs "
            f"pull` in its repository, or download the file itself."
        )
    if not head:
        raise WeightsError(f"{path} is empty. {_AGAIN}")
    if head.lstrip()[:1] == b"<":
        raise WeightsError(
            f"{path} is a web page, not a checkpoint. Download the file behind the page's download link."
        )
    raise WeightsError(
        f"{path} ({size} bytes, beginning with {head[:8]!r}) is not a checkpoint: expected a .pt file of "
        f"PyTorch's or a .safetensors file. {_AGAIN}"
    )


_AGAIN = "Download it again and compare its size with the one at the source."


def _read_torch(path: Path) -> TensorFile:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise WeightsError(_unpickling_message(path, str(error))) from error
    except _DAMAGE as error:
        raise WeightsError(
            f"{path} is truncated or damaged: expected a complete PyTorch checkpoint, but reading failed "
            f"with {type(error).__name__}: {_first_line(error)}. {_AGAIN}"
        ) from error
    state = _state_dict(content)
    if state is None:
        found = f"{len(content)} entries {list(content)[:5]}" if isinstance(content, dict) else type(content)
        raise WeightsError(
            f"{path} was expected to hold tensors by name, at the top or under 'model', but holds {found}. "
            f"Pass a checkpoint of weights."
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return TensorFile(path, shapes, state.__getitem__, {})


def _is_zip(path: Path) -> bool:
    """Only PyTorch's zip format can be mapped into memory; before 1.6 it wrote plain pickles."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _unpickling_message(path: Path, text: str) -> str:
    """Tells a pickle that names code from one that is merely broken."""
    names = [line for line in text.splitlines() if "Unsupported" in line or "GLOBAL" in line]
    if names:
        return (
            f"{path} holds more than tensors: loading it would run code, which is refused "
            f"({names[0].strip()[:200]}). Pass a checkpoint of plain tensors, best a .safetensors file."
        )
    return f"{path} is not a PyTorch checkpoint, or is damaged ({text.splitlines()[0][:200]}). {_AGAIN}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _state_dict(content: object) -> dict[str, Tensor] | None:
    """The tensors by name: the object itself, or what training scripts wrap as `model` or `state_dict`."""
    if not isinstance(content, Mapping):
        return None
    for key in ("model", "state_dict"):
        inner = content.get(key)
        if isinstance(inner, Mapping):
            content = inner
            break
    state = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    return state if state and len(state) == len(content) else None


def _read_safetensors(path: Path) -> TensorFile:
    try:
        file: Any = safe_open(path, framework="pt")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is truncated or damaged: expected a complete safetensors file, but reading failed with "
            f"{_first_line(error)}. {_AGAIN}"
        ) from error
    return TensorFile(path, shapes, file.get_tensor, file.metadata() or {})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file: complete under its name, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    partial: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        partial = Path(name)
        save_file(dict(tensors), partial, dict(metadata))
        partial.chmod(0o644)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The weights cannot be written to {path} ({error}). Choose a folder that exists, may be written "
            f"to and has room."
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
