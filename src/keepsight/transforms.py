"""Between a frame's pixels and a network's: images, points and masks in, mask logits out.

The network sees every frame as an S x S square, whatever its aspect ratio (SAM 2's convention).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from keepsight.nn.io import InputSpec
from keepsight.types import BoolArray, ImageArray

__all__ = ["image_to_input", "logits_to_frame", "mask_to_input", "points_to_input"]


def image_to_input(image: ImageArray, spec: InputSpec, device: torch.device) -> Tensor:
    """Resizes and normalises one RGB frame.

    The resize is the antialiased bicubic one on 8-bit values, as in the reference's frame loader.

    Args:
        image: (H, W, 3) uint8.
        spec: the network's input.
        device: where the result lives.

    Returns:
        (1, 3, S, S) float32.
    """
    square = _by_pillow(image, spec.size) if spec.as_reference else _by_torch(image, spec.size)
    pixels = square.to(device).float().div_(255)
    mean = torch.tensor(spec.mean, device=device)[:, None, None]
    std = torch.tensor(spec.std, device=device)[:, None, None]
    return pixels.sub_(mean).div_(std)


def _by_pillow(image: ImageArray, size: int) -> Tensor:
    square = Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]


def _by_torch(image: ImageArray, size: int) -> Tensor:
    """The same but for a few values of a thousand, which differ by 1 or 2, in a tenth of the time."""
    # Neither read-only arrays nor negative strides become tensors.
    whole = torch.from_numpy(np.require(image, requirements=("C", "W"))).permute(2, 0, 1)[None]
    return F.interpolate(whole, (size, size), mode="bicubic", align_corners=False, antialias=True)


def points_to_input(
    xy: npt.NDArray[np.float32], size: tuple[int, int], spec: InputSpec, device: torch.device
) -> Tensor:
    """Moves (N, 2) pixel positions of a frame of (height, width) to the model input's pixels."""
    height, width = size
    return torch.from_numpy(xy).to(device) / torch.tensor([width, height], device=device) * spec.size


def mask_to_input(mask: BoolArray, spec: InputSpec, device: torch.device) -> Tensor:
    """Resizes an (H, W) mask to (1, 1, S, S) of 0 and 1, float32."""
    given = torch.from_numpy(mask).to(device)[None, None].float()
    if mask.shape == (spec.size, spec.size):
        return given
    square = F.interpolate(
        given, (spec.size, spec.size), mode="bilinear", align_corners=False, antialias=True
    )
    return (square >= 0.5).float()


def logits_to_frame(logits: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Brings B masks' logits, (1, 4h, 4w) each, to a frame of (height, width): (B, H, W) float32."""
    return F.interpolate(torch.stack(list(logits)), size, mode="bilinear", align_corners=False)[:, 0]
