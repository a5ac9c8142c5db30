"""Writes a run's averaged weights as the checkpoint that the package ships.

`python -m training.export --run training/runs/x` writes src/keepsight/weights/pocket.safetensors.
"""

import argparse
from pathlib import Path

import torch

from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_to_json
from keepsight.weights.files import write_tensors
from training.config import POCKET
from training.imagenet import NOTICE
from training.train import STATE_FILE, average_model

__all__ = ["export"]

SHIPPED = Path(__file__).parents[1] / "src/keepsight/weights/pocket.safetensors"
LICENCE = "Apache-2.0"
DATA = (
    "Trained on photographs and clips under Apache-2.0, CC BY 4.0 and public domain, and on rendered "
    "clips; see training/README.md."
)


def export(run: Path, target: Path, image_size: int) -> None:
    """Exports a run as float16, with its configuration and licence in the file's header.

    Args:
        run: folder of the run.
        target: file to be written.
        image_size: side of the input the network is to be used with; a multiple of 32.
    """
    state = torch.load(run / STATE_FILE, map_location="cpu", weights_only=True)
    model = average_model(state["average"], image_size)
    tensors = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {
        CONFIG_KEY: config_to_json(model.config),
        "keepsight.name": "pocket",
        "keepsight.licence": LICENCE,
        "keepsight.notice": NOTICE,
        "keepsight.data": DATA,
        "keepsight.steps": str(state["step"]),
    }
    write_tensors(target, tensors, metadata)


def main() -> None:
    """Exports a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--target", type=Path, default=SHIPPED)
    parser.add_argument("--size", type=int, default=POCKET.image_size)
    options = parser.parse_args()
    export(options.run, options.target, options.size)
    print(f"{options.target}: {options.target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
