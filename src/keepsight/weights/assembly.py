"""From the tensors of a file to a network: which naming, which configuration, does everything fit, build."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import VARIANTS, Sam2, Sam2Config
from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_from_json
from keepsight.weights.config_transformers import read_transformers_config
from keepsight.weights.files import TensorFile
from keepsight.weights.keys import OWN, KeyTable
from keepsight.weights.keys_meta import META
from keepsight.weights.keys_transformers import TRANSFORMERS
from keepsight.weights.sam3 import tracker_part

__all__ = ["assemble"]

_MARKS: dict[str, tuple[KeyTable, tuple[str, ...]]] = {
    "transformers' names": (TRANSFORMERS, ("vision_encoder.",)),
    "Meta's names": (META, ("sam_mask_decoder.", "sam_prompt_encoder.", "image_encoder.neck.")),
    "keepsight's names": (OWN, ("image_encoder.lateral.", "mask_decoder.transformer.blocks.")),
}


class _WithoutDraws(TorchFunctionMode):
    """Leaves new tensors undrawn: a checkpoint replaces them.

    Drawing on the meta device, besides, makes torch load its compiler: seconds and 150 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)


def _outline(config: Sam2Config) -> Sam2:
    """A network whose parameters have shapes but no memory.

    Raises:
        WeightsError: the configuration describes none.
    """
    try:
        # Also inside a caller's inference mode parameters must be ordinary tensors.
        with torch.inference_mode(False), torch.device("meta"), _WithoutDraws():
            return Sam2(config)
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError) as error:
        raise WeightsError(
            f"No network can be built from the configuration ({error}): {config}. Use a published one."
        ) from error


class _Misfit(NamedTuple):
    """How tensors differ from what a configuration needs; `foreign`: our keys that the naming lacks."""

    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]
    foreign: list[str]

    def __str__(self) -> str:
        parts = [
            f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for kind, names in (
                ("missing", self.missing),
                ("unexpected", self.unexpected),
                ("of another shape", self.reshaped),
                ("without a name in this format", self.foreign),
            )
            if names
        ]
        return "; ".join(parts)


def assemble(file: TensorFile, config: Sam2Config | None, device: torch.device, dtype: torch.dtype) -> Sam2:
    """Builds the network a file describes, in evaluation mode and without gradients.

    Needs the memory of the finished weights and of one tensor. The network is independent of the file.

    Args:
        file: an open checkpoint in Meta's, transformers' or our own naming; of SAM 3 its tracker is taken.
        config: the architecture; None to take the file's own, or the catalogue's that fits.
        device: where the network shall compute.
        dtype: the type of its parameters. Fixed tables (buffers) stay float32.

    Raises:
        WeightsError: the tensors are not those of a SAM 2 network, do not fit, or are not finite numbers.
    """
    file = tracker_part(file)
    naming, table = _naming(file)
    config, origin = _config(file, table, config)
    misfit = _compare(file, table, config)
    if any(misfit):
        raise WeightsError(_misfit_message(file, table, naming, origin, misfit))
    network = _outline(config)
    with torch.inference_mode(False), torch.no_grad():
        tables = {name for name, _ in network.named_buffers()}
        state = {}
        for key, like in network.state_dict().items():
            tensor = table.convert(file, {key: like})[key]
            kind = torch.float32 if key in tables else dtype
            placed = torch.empty_strided(like.shape, like.stride(), device=device, dtype=kind)
            state[key] = _checked(file, key, placed.copy_(tensor))
        network.load_state_dict(state, assign=True)
        return network.to(device).eval().requires_grad_(False)


def _naming(file: TensorFile) -> tuple[str, KeyTable]:
    for naming, (table, marks) in _MARKS.items():
        if any(name.startswith(marks) for name in file):
            return naming, table
    raise WeightsError(
        f"{file.path} does not hold a SAM 2 video network: expected tensors such as sam_mask_decoder.* "
        f"(Meta), vision_encoder.* (transformers) or image_encoder.lateral.* (keepsight), but found "
        f"{len(file)}: {', '.join(list(file)[:4])}. Pass a checkpoint of SAM 2, SAM 2.1, SAM 3 or keepsight."
    )


def _config(file: TensorFile, table: KeyTable, given: Sam2Config | None) -> tuple[Sam2Config, str]:
    """The architecture, and in words where it comes from."""
    written = file.metadata.get(CONFIG_KEY)
    if written is not None:
        own = config_from_json(written, str(file.path))
        if given not in (None, own):
            raise WeightsError(
                f"{file.path} carries its own configuration, and the one given differs from it. "
                f"Leave config out."
            )
        return own, "its own configuration"
    if given is not None:
        return given, "the configuration given"
    beside = file.path.with_name("config.json")
    if table is TRANSFORMERS and beside.exists():
        return read_transformers_config(beside), str(beside)
    fitting = _fitting(file, table)
    if len(fitting) == 1:
        return VARIANTS[fitting[0]], fitting[0]
    raise WeightsError(
        f"{file.path} ({len(file)} tensors) was given without a configuration and fits none of "
        f"{', '.join(VARIANTS)}. Pass config=, the YAML file that belongs to it; if there is none, the file "
        f"may be incomplete: download it again."
    )


def _fitting(file: TensorFile, table: KeyTable) -> list[str]:
    """The published architectures whose tensors these are."""
    return [name for name, config in VARIANTS.items() if not any(_compare(file, table, config))]


@lru_cache(maxsize=16)
def _blueprint(config: Sam2Config) -> Mapping[str, Tensor]:
    """The state dict of an architecture, shapes without contents."""
    return _outline(config).state_dict()


def _compare(file: TensorFile, table: KeyTable, config: Sam2Config) -> _Misfit:
    # One number, seen as a tensor of each shape: joining on the meta device would load torch's compiler.
    number = torch.zeros(())
    shapes = {name: number.expand(shape) for name, shape in file.shapes.items()}
    misfit = _Misfit([], [], [], [])
    needed: set[str] = set()
    for key, like in _blueprint(config).items():
        try:
            names = table.theirs(key)
        except KeyError:
            misfit.foreign.append(key)
            continue
        needed.update(names)
        absent = [name for name in names if name not in shapes]
        misfit.missing.extend(absent)
        if not absent and not _fits(table, shapes, key, like):
            found = " + ".join(str(tuple(file.shapes[name])) for name in names)
            misfit.reshaped.append(f"{names[0]}: expected {tuple(like.shape)}, found {found}")
    misfit.unexpected.extend(name for name in file if name not in needed | table.unused)
    return misfit


def _fits(table: KeyTable, shapes: Mapping[str, Tensor], key: str, like: Tensor) -> bool:
    try:
        return table.convert(shapes, {key: like})[key].shape == like.shape
    except RuntimeError:  # pieces that cannot be joined
        return False


def _misfit_message(file: TensorFile, table: KeyTable, naming: str, origin: str, misfit: _Misfit) -> str:
    fitting = _fitting(file, table)
    if fitting:
        act = f"Its tensors are those of {fitting[0]}: pass config='{fitting[0]}', or leave config out."
    else:
        act = "Pass the configuration that belongs to it; if it does, download the file again."
    return f"{file.path} ({len(file)} tensors, {naming}) does not fit {origin}: {misfit}. {act}"


def _checked(file: TensorFile, key: str, tensor: Tensor) -> Tensor:
    if not bool(tensor.isfinite().all()):
        count = int((~tensor.isfinite()).sum())
        raise WeightsError(
            f"{file.path} holds {count} value(s) in {key} that are not finite as {tensor.dtype}. The file is "
            f"damaged or its training diverged: use another; for float16, try dtype='float32'."
        )
    return tensor
