"""Meta's builders: from a configuration and a checkpoint, or a repository's name, to a predictor."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from keepsight.api import load_model
from keepsight.compat.sam2.errors import CheckpointError, MissingCheckpointError
from keepsight.compat.sam2.overrides import non_overlapping
from keepsight.compat.sam2.predictor import SAM2VideoPredictor
from keepsight.errors import UnknownModelError, UsageError, WeightsError
from keepsight.nn.io import VideoNetwork

__all__ = ["build_sam2_video_predictor", "build_sam2_video_predictor_hf"]


def build_sam2_video_predictor(
    config_file: str | os.PathLike[str] | None,
    ckpt_path: str | os.PathLike[str] | None = None,
    device: str | torch.device = "auto",
    mode: str = "eval",
    hydra_overrides_extra: Sequence[str] = (),
    apply_postprocessing: bool = True,
    vos_optimized: bool = False,
    **kwargs: Any,
) -> SAM2VideoPredictor:
    """Loads a network and puts Meta's predictor interface before it.

    Args:
        config_file: Meta's name of a configuration ("configs/sam2.1/sam2.1_hiera_t.yaml"; nothing of Meta's
            need be installed) or the path of such a YAML; None where the checkpoint says it.
        ckpt_path: Meta's `.pt`, or anything else that `keepsight.load_model` takes, such as "pocket".
        device: "auto" (CUDA where there is one), "cuda", "cuda:1", "mps", "cpu".
        mode: "eval"; networks here do nothing else.
        hydra_overrides_extra: overrides of settings that are honoured: `++model.non_overlap_masks=true`, and
            those that ask for what is done anyway.
        apply_postprocessing: False warns, since steadying the mask choice and binarising prompted masks for
            memory is part of the network here. Holes are not filled either way.
        vos_optimized: accepted; nothing is compiled.
        **kwargs: `policy` ("sam2", "samurai", "sam2long") and `dtype` ("float32" by default, as Meta's
            networks are; under torch.autocast its type is used). Others are ignored, as by Meta.

    Raises:
        UsageError: no checkpoint is named; a mode, device, type or override that is not to be had.
        MissingCheckpointError: the checkpoint's file does not exist (also a FileNotFoundError).
        CheckpointError: it is damaged or does not fit (also a RuntimeError).
        UnknownModelError: no such name in the catalogue.
    """
    if ckpt_path is None:
        raise UsageError(
            "Expected ckpt_path to name a checkpoint, but got None, for which Meta's builder leaves random "
            "weights. Pass a .pt file, or 'pocket', or load a network and use SAM2VideoPredictor(network)."
        )
    if mode != "eval":
        raise UsageError(
            f"Expected mode 'eval', but got {mode!r}. keepsight networks do not train; omit mode."
        )
    non_overlap_masks = non_overlapping(hydra_overrides_extra)
    if not apply_postprocessing:
        warnings.warn(
            "apply_postprocessing=False has no effect: what it leaves out is part of keepsight's network.",
            stacklevel=2,
        )
    network = _loaded(config_file, ckpt_path, str(device), str(kwargs.get("dtype", "float32")))
    return SAM2VideoPredictor(
        network, policy=kwargs.get("policy", "sam2"), non_overlap_masks=non_overlap_masks
    )


def build_sam2_video_predictor_hf(model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
    """Loads a predictor from the Hugging Face hub.

    Args:
        model_id: a repository such as "facebook/sam2.1-hiera-tiny", or a catalogue name.
        **kwargs: as `build_sam2_video_predictor`.

    Raises:
        UnknownModelError, WeightsError, UsageError: as `keepsight.load_model`.
    """
    return build_sam2_video_predictor(None, model_id, **kwargs)


def _loaded(
    config: str | os.PathLike[str] | None, checkpoint: str | os.PathLike[str], device: str, dtype: str
) -> VideoNetwork:
    try:
        return load_model(checkpoint, config=config, device=device, dtype=dtype)
    except UnknownModelError:
        raise
    except WeightsError as error:
        path = Path(checkpoint)
        missing = path.suffix in (".pt", ".pth", ".safetensors") and not path.expanduser().exists()
        raise (MissingCheckpointError if missing else CheckpointError)(str(error)) from error
