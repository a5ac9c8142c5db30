"""Fits trained weights to another input size, without training: `python -m training.retune --size 384`.

A finer grid has more cells among which the right one must stand out, so the fine read may need to be sharper
(`--sharper`); how much was chosen on `../shared/data/davis/train240`, see README.md.
"""

import argparse
import json
import math
from pathlib import Path

from safetensors import safe_open

from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.files import write_tensors
from training.export import SHIPPED

__all__ = ["retune"]

SHARPNESS = "fine_read.sharpness"  # logs


def retune(source: Path, target: Path, *, size: int, sharper: float = 1.0) -> None:
    """Writes weights for another input size.

    Args:
        source: weights that `training.export` wrote.
        target: the file to write; may be the source.
        size: side of the input in pixels, a multiple of 32.
        sharper: factor of how sharply the fine read tells cells apart.
    """
    with safe_open(source, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    config = json.loads(metadata[CONFIG_KEY])
    config["image_size"] = size
    logs = tensors[SHARPNESS]
    tensors[SHARPNESS] = (logs.float() + math.log(sharper)).to(logs.dtype)
    write_tensors(target, tensors, {**metadata, CONFIG_KEY: json.dumps(config, sort_keys=True)})


def main() -> None:
    """Retunes weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--target", type=Path, default=SHIPPED)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--sharper", type=float, default=1.0)
    options = parser.parse_args()
    if options.size < 32 or options.size % 32:
        parser.error(f"--size: expected a multiple of 32, but got {options.size}")
    if options.sharper <= 0:
        parser.error(f"--sharper: expected a factor above 0, but got {options.sharper}")
    retune(options.weights, options.target, size=options.size, sharper=options.sharper)


if __name__ == "__main__":
    main()
