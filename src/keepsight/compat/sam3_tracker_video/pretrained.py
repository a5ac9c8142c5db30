"""Networks from transformers' configurations and checkpoints, and back into them."""

import copy
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import torch

from keepsight.compat.sam3_tracker_video.config_base import PretrainedConfig, output_folder
from keepsight.compat.sam3_tracker_video.configuration import Sam2VideoConfig, Sam3TrackerVideoConfig
from keepsight.compat.sam3_tracker_video.description import OWN_NETWORK, describe
from keepsight.compat.sam3_tracker_video.settings import ConfigurationError
from keepsight.compat.sam3_tracker_video.sources import os_errors, read_content
from keepsight.compat.sam3_tracker_video.tensors import their_tensors
from keepsight.errors import UsageError, WeightsError
from keepsight.nn.sam2 import Sam2, Sam2Config
from keepsight.weights.assembly import assemble
from keepsight.weights.catalogue import CONFIG_KEY
from keepsight.weights.config_json import config_from_json
from keepsight.weights.config_transformers import transformers_config
from keepsight.weights.device import DTYPES, pick_device, pick_dtype
from keepsight.weights.files import TensorFile, write_tensors
from keepsight.weights.hub import Hub
from keepsight.weights.load import open_checkpoint
from keepsight.weights.save import save_network

__all__ = [
    "MisfitError",
    "config_for",
    "load_pretrained",
    "network_config",
    "random_network",
    "save_pretrained",
]

VideoConfig = Sam2VideoConfig | Sam3TrackerVideoConfig

_KINDS = ("sam2_video", "sam3_tracker_video", "sam3_video")

WEIGHTS_FILE = "model.safetensors"


class MisfitError(WeightsError, RuntimeError):
    """The tensors of a checkpoint do not fit the configuration."""


def network_config(config: Any) -> Sam2Config:
    """The network that a configuration describes.

    Of a network that transformers has no class for ("pocket") the configuration holds a copy of keepsight's
    own settings, and these count; of the others only `image_size` is compared with them.

    Args:
        config: ours, transformers', or the nested mapping of either.

    Raises:
        WeightsError: the network cannot be built; the message names the setting and what is supported.
        ConfigurationError: it is no configuration (also a TypeError).
    """
    content = _content(config)
    source = type(config).__name__
    own = content.get(OWN_NETWORK)
    if own is None:
        return transformers_config(content, source)
    made = config_from_json(json.dumps(own), source)
    if content.get("image_size") != made.image_size:
        raise WeightsError(
            f"{source} sets image_size = {content.get('image_size')!r}, but describes a network of "
            f"keepsight's own, for {made.image_size}. Leave the settings of such a network as they are."
        )
    return made


def config_for(config: Sam2Config) -> VideoConfig:
    """The configuration of a network as transformers has it.

    It is `Sam3TrackerVideoConfig` for SAM 3's image encoder, else `Sam2VideoConfig`. Of a network that
    transformers has no class for ("pocket") it says what that shares with SAM 2, such as the image size;
    transformers refuses to read it.
    """
    return _family(describe(config))


def random_network(config: Any) -> Sam2:
    """A network with random weights, ready to compute: evaluation mode, no gradients.

    Args:
        config: as for `network_config`, with its errors.
    """
    return Sam2(network_config(config)).eval().requires_grad_(False)


def load_pretrained(
    name_or_path: str | os.PathLike[str],
    *,
    config: Any = None,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    hub: Hub | None = None,
) -> tuple[Sam2, VideoConfig]:
    """Loads a network, and its configuration as transformers knows it.

    Args:
        name_or_path: a folder that transformers or `save_pretrained` wrote, or whatever else
            `keepsight.weights.load.load_network` takes: a catalogue name, a Hugging Face repository, a file.
        config: of the network, in place of the one found with the weights: ours, transformers' or a
            mapping, or what `load_network` takes, or a folder with a `config.json`.
        device: see `keepsight.weights.device.pick_device`.
        dtype: "float32", "bfloat16", "float16" or one of these types of torch. None and "auto" are the
            `dtype` of the configuration, or else the type of the stored weights; float32 for keepsight's own
            format, in which "pocket" is stored as float16 only to be small.
        hub: where repositories come from; see `hub_for`.

    Returns:
        The network, in evaluation mode without gradients, and its configuration: the one given, else the one
        stored beside the weights, else one made from the network.

    Raises:
        PretrainedError: a file, folder or repository is missing or damaged (also an OSError).
        UnknownPretrainedError: there is no such name in the catalogue (also an OSError).
        MisfitError: the weights do not fit the configuration (also a RuntimeError).
        WeightsError: the configuration describes a network that is not supported.
        UsageError: a device or number type that is not to be had.
    """
    place = pick_device(device)
    pick_dtype("float32" if dtype is None else dtype)
    with ExitStack() as stack:
        with os_errors():
            given = _given(config, hub)
        wanted = network_config(given) if isinstance(given, PretrainedConfig) else given
        with os_errors():
            file, architecture = stack.enter_context(open_checkpoint(name_or_path, config=wanted, hub=hub))
            beside = given if isinstance(given, PretrainedConfig) else _beside(file)
            kind = _kind(dtype, beside, file)
        try:
            network = assemble(file, architecture, place, kind)
        except WeightsError as error:
            raise MisfitError(str(error)) from error
    if beside is None or not _describes(beside, network):
        beside = config_for(network.config)
    beside.name_or_path = name_or_path
    _state_dtype(beside, network.dtype)
    return network, beside


def save_pretrained(network: Sam2, config: Any, folder: str | os.PathLike[str]) -> None:
    """Writes `config.json` and `model.safetensors` into a folder, made with its parents if need be.

    transformers reads both as its own; what it stores beyond what the tracker uses is written as zeros: a
    fourth level of SAM 3's neck, and a position added to no memory. A network that transformers has no class
    for ("pocket") is written in keepsight's own format, which `load_pretrained` and `keepsight.load_model`
    read. Each file appears complete or not at all.

    Args:
        network: saved in the number type it has.
        config: of the network, as `load_pretrained` returned it.
        folder: where to.

    Raises:
        UsageError: the configuration describes another network.
        OutputError: it cannot be written; for a file in the folder's place also an AssertionError.
    """
    written = _family(_content(config))
    if network_config(written) != network.config:
        raise UsageError(
            f"Expected the configuration of the network that is saved, {network.config}, but got one of "
            f"{network_config(written)}. Pass the configuration that it was loaded with."
        )
    written.architectures = [type(written).__name__.replace("Config", "Model")]
    _state_dtype(written, network.dtype)
    target = output_folder(folder)
    if hasattr(written, OWN_NETWORK):
        save_network(network, target / WEIGHTS_FILE)
    else:
        write_tensors(target / WEIGHTS_FILE, their_tensors(network), {"format": "pt"})
    written.save_pretrained(target)


def _content(config: Any) -> Mapping[str, Any]:
    content = config.to_dict() if callable(getattr(config, "to_dict", None)) else config
    if not isinstance(content, Mapping):
        raise ConfigurationError(
            f"Expected a configuration, such as Sam3TrackerVideoConfig(), but got {config!r} of type "
            f"{type(config).__name__}. Pass one of keepsight's or transformers'."
        )
    return content


def _family(content: Mapping[str, Any]) -> VideoConfig:
    """The configuration of either family that a file holds, whole or as SAM 3's `tracker_config`."""
    family = Sam2VideoConfig if content.get("model_type") == "sam2_video" else Sam3TrackerVideoConfig
    return family(**family.part_of(content, "the configuration"))


def _given(config: Any, hub: Hub | None) -> VideoConfig | Sam2Config | str | os.PathLike[str] | None:
    """A configuration of ours, for which a copy is made, or what `open_checkpoint` understands."""
    if config is None or isinstance(config, Sam2Config):
        return config
    if not isinstance(config, str | os.PathLike):
        return copy.deepcopy(config) if isinstance(config, VideoConfig) else _family(_content(config))
    path = Path(config).expanduser()
    described = path.is_dir() or path.suffix == ".json"
    return _family(read_content(path, hub)) if described else config


def _beside(file: TensorFile) -> VideoConfig | None:
    """The configuration stored with the weights, if it is of either family."""
    path = file.path.with_name("config.json")
    content = read_content(path) if path.exists() else {}
    return _family(content) if content.get("model_type") in _KINDS else None


def _kind(dtype: str | torch.dtype | None, config: VideoConfig | None, file: TensorFile) -> torch.dtype:
    """The number type asked for, else the one stated, else that of the stored weights."""
    if dtype is not None and dtype != "auto":
        return pick_dtype(dtype)
    found = config.dtype if config else None
    weights = [name for name in file if name.endswith((".weight", ".bias"))]
    if found is None and weights and CONFIG_KEY not in file.metadata:
        # The smallest weight is quickly read; fixed tables may have another type.
        found = file[min(weights, key=lambda name: prod(file.shapes[name]))].dtype
    return found if found is not None and found in DTYPES.values() else torch.float32


def _state_dtype(config: PretrainedConfig, dtype: torch.dtype) -> None:
    config.dtype = dtype
    for value in vars(config).values():
        if isinstance(value, PretrainedConfig):
            _state_dtype(value, dtype)


def _describes(config: VideoConfig, network: Sam2) -> bool:
    try:
        return network_config(config) == network.config
    except WeightsError:
        return False
