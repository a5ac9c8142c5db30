"""Memory encoder: fuses a frame's features with the object's mask on it (SAM 2, section 4 and C.1)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.convolution import FusedConv
from keepsight.nn.layers.norm import ChannelNorm

__all__ = ["MemoryEncoder"]

STEM_CHANNELS = (1, 4, 16, 64, 256)
# Mask probabilities 0..1 are spread to -10..10 before they are encoded.
MASK_SCALE = 20.0
MASK_SHIFT = -10.0


def _mask_stem(width: int) -> nn.Sequential:
    """Four strided convolutions that bring a mask to stride 16, then a projection."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(STEM_CHANNELS):
        layers += [FusedConv(inside, outside, 3, stride=2, padding=1), ChannelNorm(outside), nn.GELU()]
    return nn.Sequential(*layers, FusedConv(STEM_CHANNELS[-1], width, 1))


class _FuserBlock(nn.Module):
    """A ConvNeXt block (Liu et al. 2022) with layer scale."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = FusedConv(width, width, 7, padding=3, groups=width)
        self.norm = ChannelNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        pixels: Tensor = self.norm(self.depthwise(x)).permute(0, 2, 3, 1)
        pixels = self.scale * self.contract(F.gelu(self.expand(pixels)))
        return x + pixels.permute(0, 3, 1, 2)


class MemoryEncoder(nn.Module):
    """Encodes (frame, mask) pairs into memory maps.

    Args:
        width: C, the width of the image embedding.
        memory_width: width of a memory token.
    """

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        self.mask_stem = _mask_stem(width)
        self.image_projection = FusedConv(width, width, 1)
        self.fuser = nn.Sequential(_FuserBlock(width), _FuserBlock(width))
        self.out = FusedConv(width, memory_width, 1)

    def forward(self, embedding: Tensor, probabilities: Tensor) -> Tensor:
        """Encodes B masks on one frame.

        Args:
            embedding: (1 or B, C, h, w).
            probabilities: (B, 1, S, S), 0..1.

        Returns:
            (B, memory_width, h, w).
        """
        masks = probabilities.mul(MASK_SCALE).add_(MASK_SHIFT).to(embedding.dtype)
        out: Tensor = self.out(self.fuser(self.image_projection(embedding) + self.mask_stem(masks)))
        return out
