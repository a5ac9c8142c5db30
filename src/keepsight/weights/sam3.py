"""The tracker in a checkpoint of SAM 3, which holds a detector beside it and shares its image encoder.

Names, from `sam3.pt` and from `facebook/sam3`: the encoder is the detector's, the neck is another one for
the tracker, and all else is SAM 2's with a prefix.
"""

import re
from collections.abc import Iterator
from math import isqrt
from typing import NamedTuple

from torch import Tensor

from keepsight.weights.files import TensorFile

__all__ = ["tracker_part"]

_DETECTOR = "detector.backbone.vision_backbone."
# Patterns of their names, and what SAM 2's checkpoint of the same origin would say. The first match counts.
_META = (
    (rf"{re.escape(_DETECTOR)}trunk\.(.+)", r"image_encoder.trunk.\1"),
    (rf"{re.escape(_DETECTOR)}sam2_convs\.([012]\..+)", r"image_encoder.neck.convs.\1"),
    (r"tracker\.transformer\.encoder\.(.+)", r"memory_attention.\1"),
    (r"tracker\.maskmem_backbone\.(.+)", r"memory_encoder.\1"),
    (r"tracker\.(sam_mask_decoder\..+\.mlp)\.lin1\.(.+)", r"\1.layers.0.\2"),
    (r"tracker\.(sam_mask_decoder\..+\.mlp)\.lin2\.(.+)", r"\1.layers.1.\2"),
    (r"tracker\.(.+)", r"\1"),
)
# `Sam3TrackerVideoModel.save_pretrained` writes its own prefix before the detector's and the neck's.
_TRANSFORMERS = (
    (r"(?:tracker_model\.)?detector_model\.vision_encoder\.backbone\.(.+)", r"vision_encoder.backbone.\1"),
    (r"(?:tracker_model\.)?tracker_neck\.(.+)", r"vision_encoder.neck.\1"),
    (r"tracker_model\.(.+)", r"\1"),
)
# By the start of a name that only such a checkpoint has; the last is a tracker saved alone.
_ORIGINS = {
    "tracker.": _META,
    "tracker_model.": _TRANSFORMERS,
    "vision_encoder.neck.fpn_layers.": ((r"(.+)", r"\1"),),
}
# Tables that follow from the configuration, and a fourth level of the neck that the tracker has no use for.
_USELESS = re.compile(
    r".*\.(freqs_cis|rope_embeddings|inv_freq)|vision_encoder\.neck\.(fpn_layers\.3\.|position_enc).*"
)
_QKV = re.compile(r"(image_encoder\.trunk\.blocks\.\d+\.attn)\.qkv\.(weight|bias)")
_POSITION = "image_encoder.trunk.pos_embed"


class _Piece(NamedTuple):
    """One of so many equal parts of a tensor along its first axis."""

    name: str
    part: int = 0
    parts: int = 1
    class_token: bool = False  # whether the second axis starts with a place that is no patch

    def shape(self, whole: tuple[int, ...]) -> tuple[int, ...]:
        """Of the piece."""
        if self.class_token:
            return (whole[0], whole[1] - 1, *whole[2:])
        return (whole[0] // self.parts, *whole[1:])

    def cut(self, whole: Tensor) -> Tensor:
        """The piece itself."""
        return whole[:, 1:] if self.class_token else whole.chunk(self.parts)[self.part]


def tracker_part(file: TensorFile) -> TensorFile:
    """A checkpoint of SAM 3 as if its tracker had one of its own, in the naming of SAM 2's.

    Joined projections of the image encoder are cut in three; the place of the class token is left out.

    Args:
        file: any checkpoint; one without SAM 3's prefixes is returned as it is.
    """
    renames = next((r for mark, r in _ORIGINS.items() if any(name.startswith(mark) for name in file)), None)
    if renames is None:
        return file
    pieces = {
        new: piece
        for name, shape in file.shapes.items()
        if (plain := _renamed(name, renames)) and not _USELESS.fullmatch(plain)
        for new, piece in _pieces(plain, name, shape)
    }
    shapes = {new: piece.shape(file.shapes[piece.name]) for new, piece in pieces.items()}
    return TensorFile(file.path, shapes, lambda new: pieces[new].cut(file[pieces[new].name]), file.metadata)


def _renamed(name: str, renames: tuple[tuple[str, str], ...]) -> str | None:
    """The name in a tracker's own checkpoint, or None for a tensor of the detector."""
    for pattern, replacement in renames:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return None


def _pieces(plain: str, name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, _Piece]]:
    """What one of their tensors is cut into, by name."""
    joined = _QKV.fullmatch(plain)
    if joined:
        for i, part in enumerate(("q_proj", "k_proj", "v_proj")):
            yield f"{joined[1]}.{part}.{joined[2]}", _Piece(name, i, 3)
    elif plain == _POSITION and len(shape) == 3 and isqrt(shape[1] - 1) ** 2 == shape[1] - 1:
        yield plain, _Piece(name, class_token=True)
    else:
        yield plain, _Piece(name)
