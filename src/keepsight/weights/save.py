"""Networks into files, and a name for their contents."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from keepsight.errors import UsageError
from keepsight.nn.sam2 import Sam2
from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_to_json
from keepsight.weights.files import write_tensors

__all__ = ["fingerprint", "save_network"]

_FORMAT_KEY = "format"  # read by other tools to tell whose tensors these are

# A digest, and the places and versions of the tensors it was made of.
_known: WeakKeyDictionary[Sam2, tuple[tuple[tuple[int, int], ...], str]] = WeakKeyDictionary()


def save_network(
    network: Sam2, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a network as one safetensors file that says its own architecture; `load_network` reads it.

    The file appears complete or not at all; an older one of the same name is replaced.

    Args:
        network: saved in the number type it has.
        path: the file, by custom ending in `.safetensors`.
        metadata: further texts to keep with it, such as the licence or how it was trained.

    Raises:
        UsageError: the metadata uses a key that is ours.
        OutputError: the file cannot be written.
    """
    header = {_FORMAT_KEY: "pt", CONFIG_KEY: config_to_json(network.config)}
    taken = sorted(header.keys() & (metadata or {}).keys())
    if taken:
        raise UsageError(f"metadata may not set {', '.join(taken)}: keepsight writes it. Choose another key.")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    write_tensors(Path(path), tensors, {**header, **(metadata or {})})


def fingerprint(network: Sam2) -> str:
    """SHA-256, in hexadecimal, of a network's architecture and weights: names, types, shapes and bytes.

    The same on every device; another for another number type, since results differ. It is computed once and
    again only after weights were replaced or changed in place.
    """
    state = network.state_dict()
    marks = tuple((tensor.data_ptr(), tensor._version) for tensor in state.values())
    remembered = _known.get(network)
    if remembered is None or remembered[0] != marks:
        remembered = (marks, _digest(config_to_json(network.config), state))
        _known[network] = remembered
    return remembered[1]


def _digest(config: str, state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(config.encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
