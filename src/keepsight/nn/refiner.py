"""Convolutions at strides 8 and 4 that bring carried masks and image features together before decoding.

SAM's decoder sees neighbouring pixels only through cells of stride 16. This is the decoder of space-time
memory networks (Oh et al. 2019, section 3.3) in depthwise form: what it adds to the decoder's skip features
follows edges.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.io import ImageFeatures
from keepsight.nn.layers.convolution import FusedConv
from keepsight.nn.layers.norm import ChannelNorm

__all__ = ["Refiner"]

BLOCKS = 2
KERNEL_MIDDLE, KERNEL_FINE = 5, 3


class _Block(nn.Module):
    """A ConvNeXt block (Liu et al. 2022) with a narrow perceptron."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.filter = FusedConv(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = ChannelNorm(width)
        self.widen = FusedConv(width, 2 * width, 1, activation="gelu")
        self.narrow = FusedConv(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, width, H, W) to the same shape; the input may be overwritten."""
        out: Tensor = self.narrow(self.widen(self.norm(self.filter(x))), x)
        return out


class Refiner(nn.Module):
    """Adds to a frame's skip features what carried masks, prompts and memory say about one object.

    Args:
        width: C, the width of the image embedding.
        carried: channels of the maps that are brought along at stride 4.
    """

    def __init__(self, width: int, carried: int) -> None:
        super().__init__()
        middle, fine = 3 * width // 8, 3 * width // 16
        self.coarse_in = FusedConv(width, middle, 1)
        self.middle_in = FusedConv(width // 4, middle, 1)
        self.carried_middle_in = FusedConv(carried, middle, 2, stride=2)
        self.middle_blocks = nn.Sequential(*(_Block(middle, KERNEL_MIDDLE) for _ in range(BLOCKS)))
        self.middle_out = FusedConv(middle, width // 4, 1)
        self.descend = FusedConv(middle, fine, 1)
        self.fine_in = FusedConv(width // 8, fine, 1)
        self.carried_fine_in = FusedConv(carried, fine, 1)
        self.fine_blocks = nn.Sequential(*(_Block(fine, KERNEL_FINE) for _ in range(BLOCKS)))
        self.fine_out = FusedConv(fine, width // 8, 1)
        for out in (self.middle_out, self.fine_out):  # starts as the network without it
            for parameter in out.parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: ImageFeatures, embedding: Tensor, carried: Tensor) -> ImageFeatures:
        """Refines one frame for B objects.

        Args:
            features: the frame.
            embedding: (B, C, h, w), with memory in it.
            carried: (B, carried, 4h, 4w).

        Returns:
            The frame's features with `fine` and `middle` of each object, (B, ...).
        """
        carried = carried.to(embedding.dtype).contiguous(memory_format=torch.channels_last)
        coarse = F.interpolate(self.coarse_in(embedding), scale_factor=2.0, mode="bilinear")
        coarse.add_(self.middle_in(features.middle))
        middle = self.middle_blocks(self.carried_middle_in(carried, coarse))
        down = F.interpolate(self.descend(middle), scale_factor=2.0, mode="bilinear")
        down.add_(self.fine_in(features.fine))
        fine = self.fine_blocks(self.carried_fine_in(carried, down))
        return features._replace(
            fine=features.fine + self.fine_out(fine), middle=features.middle + self.middle_out(middle)
        )
