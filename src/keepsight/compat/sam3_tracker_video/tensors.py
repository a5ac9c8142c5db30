"""A network's tensors under transformers' names and in its shapes."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from keepsight.nn.sam2 import Sam2
from keepsight.nn.vit import VitConfig
from keepsight.weights.keys_transformers import TRANSFORMERS

__all__ = ["their_tensors"]

# Where their tensors have axes of length one that ours have not.
_AXES: dict[str, tuple[int, ...]] = {
    "no_memory_embedding": (0, 1),
    "no_object_pointer": (0,),
    "occlusion_spatial_embedding_parameter": (0,),
    "memory_temporal_positional_encoding": (1, 2),
    "prompt_encoder.no_mask_embed.weight": (0,),
    "vision_encoder.backbone.embeddings.position_embeddings": (0,),
}
# `Sam3TrackerVideoModel.save_pretrained` names SAM 3's tensors by their places in a model with a detector.
_SAM3_PREFIXES = {
    "vision_encoder.backbone.": "tracker_model.detector_model.vision_encoder.backbone.",
    "vision_encoder.neck.": "tracker_model.tracker_neck.",
    "": "tracker_model.",
}


def their_tensors(network: Sam2) -> dict[str, Tensor]:
    """All tensors that transformers' class has, on the CPU, under the names of its files.

    What its trackers do not use is zero: a position added to no memory, and a fourth level of SAM 3's neck.

    Args:
        network: one that transformers has a class for.
    """
    ours = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    theirs = TRANSFORMERS.revert(ours, dict(_their_shapes(ours)))
    theirs |= _unused_tensors(network, theirs)
    if not isinstance(network.config.encoder, VitConfig):
        return theirs
    return {_sam3_name(name): tensor for name, tensor in theirs.items()}


def _their_shapes(ours: Mapping[str, Tensor]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, tensor in ours.items():
        *rows, last = TRANSFORMERS.theirs(name)
        # Of joined tensors all but the last are single tokens.
        yield from ((row, (1, *tensor.shape[1:])) for row in rows)
        shape = [len(tensor) - len(rows), *tensor.shape[1:]] if rows else list(tensor.shape)
        for axis in _AXES.get(last, ()):
            shape.insert(axis, 1)
        yield last, tuple(shape)


def _unused_tensors(network: Sam2, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    width, encoder = network.config.width, network.config.encoder
    twin = theirs["shared_image_embedding.positional_embedding"].clone()
    shapes: dict[str, tuple[int, ...]] = {"no_memory_positional_encoding": (1, 1, width)}
    if isinstance(encoder, VitConfig):
        level = "vision_encoder.neck.fpn_layers.3"
        shapes |= {f"{level}.proj1.weight": (width, encoder.width, 1, 1), f"{level}.proj1.bias": (width,)}
        shapes |= {f"{level}.proj2.weight": (width, width, 3, 3), f"{level}.proj2.bias": (width,)}
    zeros = {name: torch.zeros(shape, dtype=network.dtype) for name, shape in shapes.items()}
    return {"prompt_encoder.shared_embedding.positional_embedding": twin, **zeros}


def _sam3_name(name: str) -> str:
    start = next(start for start in _SAM3_PREFIXES if name.startswith(start))
    return _SAM3_PREFIXES[start] + name.removeprefix(start)
