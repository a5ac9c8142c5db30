"""Changes trained weights without training, as for another size: `python -m training.retune --size 384`.

A finer grid has more cells among which the right one must stand out, so the fine read may need to be sharper
(`--sharper`); how much was chosen on `../shared/data/davis/train240`, see README.md.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

from keepsight.errors import WeightsError
from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_from_json, config_to_json
from keepsight.weights.files import TensorFile, read_tensors, write_tensors
from training.export import SHIPPED

__all__ = ["retune"]

SHARPNESS = "fine_read.sharpness"  # logs
PRESENCE = "mask_decoder.presence_head."


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


def retune(
    source: Path, target: Path, *, size: int, sharper: float = 1.0, presence: Path | None = None
) -> None:
    """Writes weights for another input size.

    Args:
        source: weights that `training.export` wrote.
        target: the file to write; may be the source.
        size: side of the input in pixels, a multiple of 32.
        sharper: factor of how sharply the fine read tells cells apart.
        presence: weights that the head which tells presence is taken from; None for the source's own.

    Raises:
        WeightsError: the source cannot be read, or is no `pocket`.
    """
    file = read_pocket(source)
    tensors = {name: file[name].clone() for name in file}
    if presence is not None:
        other = read_pocket(presence)
        tensors |= {name: other[name].clone() for name in other if name.startswith(PRESENCE)}
    logs = tensors[SHARPNESS]
    tensors[SHARPNESS] = (logs.float() + math.log(sharper)).to(logs.dtype)
    config = replace(config_from_json(file.metadata[CONFIG_KEY], str(source)), image_size=size)
    write_tensors(target, tensors, {**file.metadata, CONFIG_KEY: config_to_json(config)})


def main() -> None:
    """Retunes weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--target", type=Path, default=SHIPPED)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--sharper", type=float, default=1.0)
    parser.add_argument("--presence-from", type=Path, help="weights to take the presence head from")
    options = parser.parse_args()
    if options.size < 32 or options.size % 32:
        parser.error(f"--size: expected a multiple of 32, but got {options.size}")
    if not 0 < options.sharper < math.inf:
        parser.error(f"--sharper: expected a factor above 0, but got {options.sharper}")
    try:
        retune(
            options.weights,
            options.target,
            size=options.size,
            sharper=options.sharper,
            presence=options.presence_from,
        )
    except WeightsError as problem:
        raise SystemExit(str(problem)) from problem


if __name__ == "__main__":
    main()
