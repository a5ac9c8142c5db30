"""Changes trained weights without training, as for another size: `python -m training.retune --size 320`.

A finer grid has more cells among which the right one must stand out, so the fine read may need to be sharper
(`--sharper`); how much was chosen on `../shared/data/davis/train240`, see README.md.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import Sam2Config
from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_from_json, config_to_json
from keepsight.weights.files import TensorFile, read_tensors, write_tensors
from training.config import POCKET
from training.export import SHIPPED

__all__ = ["Kept", "Share", "retune"]

SHARPNESS = "fine_read.sharpness"  # logs
PRESENCE = "mask_decoder.presence_head."
PRESENCE_BIAS = PRESENCE + "layers.2.bias"
LAYERS = "memory_attention.layers."
READ = "norm2", "cross_attention"  # of a layer, what looks at the memory
FAMILIARITY = "matching.familiarity."  # which pocket had from its eighth run on


def read_pocket(source: Path) -> TensorFile:
    """Reads weights that `training.export` wrote.

    Raises:
        WeightsError: they cannot be read, or are not of `pocket`.
    """
    file = read_tensors(source)
    if CONFIG_KEY not in file.metadata or SHARPNESS not in file:
        raise WeightsError(
            f"Expected weights of pocket, as training.export writes them, but {source} has no configuration "
            f"or no {SHARPNESS}. Pass others."
        )
    return file


class Share(NamedTuple):
    """How much of other weights is mixed in."""

    source: Path
    share: float  # 0..1


class Kept(NamedTuple):
    """What is kept of memory attention."""

    layers: Sequence[int] | None = None  # counted from 0; None for all
    self_only: Sequence[int] = ()  # which of those, counted from 0 again, no longer look at the memory


def retune(
    source: Path,
    target: Path,
    *,
    size: int,
    sharper: float = 1.0,
    presence: Path | None = None,
    mixed: Share | None = None,
    surer: float = 0.0,
    kept: Kept | None = None,
) -> None:
    """Writes weights for another input size, with what `training.config` says of what is recalled.

    Args:
        source: weights that `training.export` wrote.
        target: the file to write; may be the source.
        size: side of the input in pixels, a multiple of 32.
        sharper: factor of how sharply the fine read tells cells apart.
        presence: weights that the head which tells presence is taken from; None for the source's own.
        mixed: weights of another run from the same ones: what lies between both often keeps what either
            does well (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). None for none.
        surer: what is added to every presence logit.
        kept: what is kept of memory attention; None for all.

    Raises:
        WeightsError: a file cannot be read, or is no `pocket`, or those to be mixed are of another network,
            or there is no such layer.
    """
    file = read_pocket(source)
    tensors = {name: file[name].clone() for name in file}
    config = replace(config_from_json(file.metadata[CONFIG_KEY], str(source)), image_size=size)
    if kept is not None and kept.layers is not None:
        tensors, config = with_layers(tensors, config, kept.layers)
    if kept is not None:
        tensors, config = without_reads(tensors, config, kept.self_only)
    if mixed is not None:
        tensors = between(tensors, read_pocket(mixed.source), mixed)
    if presence is not None:
        other = read_pocket(presence)
        tensors |= {name: other[name].clone() for name in other if name.startswith(PRESENCE)}
    tensors[PRESENCE_BIAS] = tensors[PRESENCE_BIAS] + surer
    logs = tensors[SHARPNESS]
    tensors[SHARPNESS] = (logs.float() + math.log(sharper)).to(logs.dtype)
    config = recalling(config, POCKET)
    write_tensors(target, tensors, {**file.metadata, CONFIG_KEY: config_to_json(config)})


def recalling(config: Sam2Config, wanted: Sam2Config) -> Sam2Config:
    """A configuration with another's say in what is recalled, on which no weight's shape depends."""
    if config.matching is None or wanted.matching is None:
        return config
    matching = replace(config.matching, attended=wanted.matching.attended)
    return replace(config, matching=matching, recalls_sighting=wanted.recalls_sighting)


def with_layers(
    tensors: dict[str, Tensor], config: Sam2Config, layers: Sequence[int]
) -> tuple[dict[str, Tensor], Sam2Config]:
    """Weights and configuration with some layers of memory attention only, in their order."""
    if not layers:
        raise WeightsError("Expected layers of memory attention to keep, but got none.")
    check_layers(layers, config)
    numbers = {layer: i for i, layer in enumerate(sorted(set(layers)))}
    renamed = {f"{LAYERS}{layer}.": f"{LAYERS}{i}." for layer, i in numbers.items()}
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(LAYERS)}
    for old, new in renamed.items():
        kept |= {new + name.removeprefix(old): x for name, x in tensors.items() if name.startswith(old)}
    self_only = tuple(numbers[layer] for layer in config.self_only if layer in numbers)
    return kept, replace(config, attention_layers=len(renamed), self_only=self_only)


def without_reads(
    tensors: dict[str, Tensor], config: Sam2Config, layers: Sequence[int]
) -> tuple[dict[str, Tensor], Sam2Config]:
    """Weights and configuration in which some layers of memory attention do without cross-attention."""
    check_layers(layers, config)
    dropped = tuple(f"{LAYERS}{layer}.{part}." for layer in layers for part in READ)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(dropped)}
    return kept, replace(config, self_only=tuple(sorted({*config.self_only, *layers})))


def check_layers(layers: Sequence[int], config: Sam2Config) -> None:
    """Raises a `WeightsError` where memory attention has no such layers."""
    if not set(layers) <= {*range(config.attention_layers)}:
        raise WeightsError(
            f"Expected layers of memory attention from 0 to {config.attention_layers - 1}, but got {layers}."
        )


def between(tensors: dict[str, Tensor], other: TensorFile, mixed: Share) -> dict[str, Tensor]:
    """Weights on the line from some to others, in the type of the first.

    The others may lack a familiarity, which means that it adds nothing.
    """
    others = {name: other[name] for name in other}
    for name in tensors.keys() - others.keys():
        if name.startswith(FAMILIARITY):
            others[name] = tensors[name] * (0 if name.startswith(FAMILIARITY + "out.") else 1)
    if {name: tensor.shape for name, tensor in tensors.items()} != {n: x.shape for n, x in others.items()}:
        raise WeightsError(
            f"Expected weights of the same network, but {mixed.source} has other tensors. Pass weights of a "
            f"run that began from these."
        )
    return {
        name: ((1 - mixed.share) * tensor.float() + mixed.share * others[name].float()).to(tensor.dtype)
        for name, tensor in tensors.items()
    }


def main() -> None:
    """Retunes weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--target", type=Path, default=SHIPPED)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--sharper", type=float, default=1.0)
    parser.add_argument("--presence-from", type=Path, help="weights to take the presence head from")
    parser.add_argument("--mix", type=Path, help="weights to mix in")
    parser.add_argument("--share", type=float, default=0.5, help="how much of them")
    parser.add_argument("--surer", type=float, default=0.0, help="added to every presence logit")
    parser.add_argument("--layers", type=int, nargs="+", help="layers of memory attention to keep, from 0")
    parser.add_argument(
        "--self-only", type=int, nargs="+", default=(), help="layers that need not look at it"
    )
    options = parser.parse_args()
    if options.size < 32 or options.size % 32:
        parser.error(f"--size: expected a multiple of 32, but got {options.size}")
    if not 0 < options.sharper < math.inf:
        parser.error(f"--sharper: expected a factor above 0, but got {options.sharper}")
    if not math.isfinite(options.surer):
        parser.error(f"--surer: expected a number, but got {options.surer}")
    if not 0 <= options.share <= 1:
        parser.error(f"--share: expected a share from 0 to 1, but got {options.share}")
    try:
        retune(
            options.weights,
            options.target,
            size=options.size,
            sharper=options.sharper,
            presence=options.presence_from,
            mixed=None if options.mix is None else Share(options.mix, options.share),
            surer=options.surer,
            kept=Kept(options.layers, options.self_only),
        )
    except WeightsError as problem:
        raise SystemExit(str(problem)) from problem


if __name__ == "__main__":
    main()
