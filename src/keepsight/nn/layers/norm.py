"""Layer normalisation over the channels of a feature map."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelNorm"]

# Rows of so few are normalised plane by plane on CPUs: `layer_norm` takes four times as long for them.
FEW = 8


class ChannelNorm(nn.Module):
    """Normalises each pixel of a (B, C, H, W) map over its channels (ConvNeXt, section 2.6)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; the memory becomes channels-last, unless channels are few."""
        if len(self.weight) <= FEW and x.device.type == "cpu":
            return self._by_plane(x)
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)

    def _by_plane(self, x: Tensor) -> Tensor:
        centred = x.float()
        centred = centred - centred.mean(dim=1, keepdim=True)
        scale = (centred.square().mean(dim=1, keepdim=True) + self.eps).rsqrt()
        weight, bias = self.weight[:, None, None], self.bias[:, None, None]
        return torch.addcmul(bias, (centred * scale).to(x.dtype), weight)
