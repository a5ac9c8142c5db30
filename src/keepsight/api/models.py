"""Loading a model by name, repository or path."""

from os import PathLike

from keepsight.nn.io import VideoNetwork
from keepsight.nn.sam2 import Sam2Config
from keepsight.weights.load import load_network

__all__ = ["ModelLike", "load_model", "loaded"]

ModelLike = str | PathLike[str] | VideoNetwork


def load_model(
    model: str | PathLike[str] = "pocket",
    *,
    config: str | PathLike[str] | Sam2Config | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> VideoNetwork:
    """Loads a network; it is stateless and any number of sessions may share it.

    Args:
        model: a catalogue name ("pocket", "sam2.1_hiera_tiny", ...), a Hugging Face repository id
            ("facebook/sam2.1-hiera-tiny"), or a path: Meta's `.pt`, our `.safetensors`, or a local folder
            of a Hugging Face repository.
        config: for a `.pt`, Meta's YAML.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: "auto" (bfloat16 where the device is faster in it, else float32), "float32",
            "bfloat16" or "float16".

    Raises:
        UnknownModelError: no such name in the catalogue.
        WeightsError: the checkpoint or its configuration is missing, damaged or does not fit.
        UsageError: the device or type is not to be had here.
    """
    network: VideoNetwork = load_network(model, config=config, device=device, dtype=dtype)
    return network


def loaded(model: ModelLike, *, device: str = "auto", dtype: str = "auto") -> VideoNetwork:
    """A model as it is, or loaded if it is a name or a path."""
    if isinstance(model, str | PathLike):
        return load_model(model, device=device, dtype=dtype)
    return model
