"""Layer normalisation over the channels of a feature map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelNorm"]


class ChannelNorm(nn.Module):
    """Normalises each pixel of a (B, C, H, W) map over its channels (ConvNeXt, section 2.6)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; the memory becomes channels-last."""
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)
