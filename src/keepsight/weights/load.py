"""Networks from names, repositories and files."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from keepsight.errors import UsageError, WeightsError
from keepsight.nn.sam2 import Sam2, Sam2Config
from keepsight.weights.assembly import assemble
from keepsight.weights.catalogue import Checkpoint, find_checkpoint, known_checkpoint
from keepsight.weights.config_meta import read_meta_config
from keepsight.weights.config_transformers import read_transformers_config
from keepsight.weights.device import pick_device, pick_dtype
from keepsight.weights.embedded import embedded_file
from keepsight.weights.files import TensorFile, read_tensors
from keepsight.weights.hub import Hub

__all__ = ["ConfigLike", "load_network", "open_checkpoint"]

ConfigLike = Sam2Config | str | os.PathLike[str] | None

_WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def load_network(
    model: str | os.PathLike[str],
    *,
    config: ConfigLike = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    hub: Hub | None = None,
) -> Sam2:
    """Loads a network, ready to compute: evaluation mode, no gradients.

    Args:
        model: a catalogue name ("pocket", "sam2.1_hiera_tiny"; see `catalogue`), a Hugging Face repository
            ("facebook/sam2.1-hiera-tiny"), or a path: Meta's `.pt`, a `.safetensors` of ours or of
            transformers', or a local copy of such a repository. No code in a file is ever run.
        config: the architecture, where the file does not say it: Meta's YAML (a path, or the name that
            Meta's scripts use, such as "configs/sam2.1/sam2.1_hiera_t.yaml"), transformers' config.json, a
            catalogue name, or a `Sam2Config`. A `.pt` that fits one published architecture needs none.
        device: see `keepsight.weights.device.pick_device`.
        dtype: see `keepsight.weights.device.pick_dtype`.
        hub: where repositories come from; the Hugging Face hub and its cache when omitted.

    Raises:
        UnknownModelError: a name the catalogue does not have.
        WeightsError: a file, configuration or download that is missing, damaged or does not fit.
        UsageError: a device or number type that is unknown or not available.
    """
    place = pick_device(device)
    kind = pick_dtype(dtype, place)
    with open_checkpoint(model, config=config, hub=hub) as (file, architecture):
        return assemble(file, architecture, place, kind)


@contextmanager
def open_checkpoint(
    model: str | os.PathLike[str], *, config: ConfigLike = None, hub: Hub | None = None
) -> Iterator[tuple[TensorFile, Sam2Config | None]]:
    """The tensors of a checkpoint, and its architecture where it is given or known from elsewhere.

    Both are what `assemble` takes; they are valid within the block. Arguments and errors are those of
    `load_network`.
    """
    given = _read_config(config)
    with ExitStack() as stack:
        path, known = _locate(model, hub or Hub(), stack)
        yield read_tensors(path), given or known


def _locate(model: str | os.PathLike[str], hub: Hub, stack: ExitStack) -> tuple[Path, Sam2Config | None]:
    """The file of weights and, where it is known from elsewhere, the architecture."""
    name = os.fspath(model)
    path = Path(name).expanduser()
    checkpoint = known_checkpoint(name)
    if not isinstance(model, str) or name.endswith(_WEIGHT_SUFFIXES) or path.is_absolute():
        return _within(path)
    if checkpoint is not None and "/" not in name:
        return _published(checkpoint, hub, stack)
    if path.exists() or name.startswith(("./", "../", "~")):
        return _within(path)
    if checkpoint is not None:
        return _published(checkpoint, hub, stack)
    if _REPOSITORY.fullmatch(name):
        return _within(hub.folder(name))
    return _published(find_checkpoint(name), hub, stack)


def _published(checkpoint: Checkpoint, hub: Hub, stack: ExitStack) -> tuple[Path, Sam2Config | None]:
    if checkpoint.repository is None:
        path = stack.enter_context(embedded_file(checkpoint.file))
    else:
        path = hub.file(checkpoint.repository, checkpoint.file, otherwise=checkpoint.url or "")
    if checkpoint.digest is not None:
        _verify(path, checkpoint.digest)
    return path, checkpoint.architecture


def _verify(path: Path, digest: str) -> None:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    if found.hexdigest() != digest:
        raise WeightsError(
            f"{path} is not the file that was published: expected SHA-256 {digest}, found "
            f"{found.hexdigest()}. Delete it and load again."
        )


def _within(path: Path) -> tuple[Path, Sam2Config | None]:
    """A file as it is; of a folder, its safetensors, else its one `.pt` with its one YAML."""
    if not path.is_dir():
        return path, None
    if (path / "model.safetensors").exists():
        return path / "model.safetensors", None
    candidates = sorted(path.glob("*.safetensors")) or sorted([*path.glob("*.pt"), *path.glob("*.pth")])
    if len(candidates) != 1:
        names = ", ".join(candidate.name for candidate in candidates[:5]) or "none"
        raise WeightsError(
            f"{path} was expected to hold one file of weights (model.safetensors, another .safetensors, or a "
            f".pt), but holds {len(candidates)}: {names}. Pass the path of the file you mean."
        )
    described = sorted(path.glob("*.yaml"))
    if candidates[0].suffix == ".safetensors" or len(described) != 1:
        return candidates[0], None
    return candidates[0], read_meta_config(described[0])


def _read_config(config: ConfigLike) -> Sam2Config | None:
    if config is None or isinstance(config, Sam2Config):
        return config
    path = Path(config).expanduser()
    if path.suffix == ".json":
        return read_transformers_config(path)
    if path.suffix not in (".yaml", ".yml"):
        checkpoint = known_checkpoint(os.fspath(config))
        if checkpoint is None:
            raise UsageError(
                f"config={os.fspath(config)!r} is no configuration: expected a path ending in .yaml or "
                f".json, or a name of the catalogue such as 'sam2.1_hiera_tiny'."
            )
        return checkpoint.config
    # Meta's scripts name configurations inside Meta's package, where no such file need exist.
    named = known_checkpoint(path.stem)
    if not path.exists() and named is not None:
        return named.config
    return read_meta_config(path)
