"""Layer normalisation over the channels of a feature map."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ChannelNorm"]

# So few channels are normalised many pixels at once on CPUs, which takes a third of `layer_norm`'s time.
FEW = 8
ROW = 16  # numbers that pixels side by side fill, a processor's vector


@lru_cache(maxsize=8)
def _averaging(channels: int) -> Tensor:
    """What a row of pixels is multiplied with to have each pixel's mean in place of all its channels."""
    with torch.inference_mode(False):
        pixel = torch.arange(ROW) // channels
        return (pixel[:, None] == pixel).float() / channels


class ChannelNorm(nn.Module):
    """Normalises each pixel of a (B, C, H, W) map over its channels (ConvNeXt, section 2.6)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape; the memory becomes channels-last."""
        pixels, channels = x.permute(0, 2, 3, 1), len(self.weight)
        fills_rows = channels <= FEW and ROW % channels == 0 and pixels.numel() % ROW == 0
        # Autocast would take the means in half precision.
        if fills_rows and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return self._many_at_once(pixels).permute(0, 3, 1, 2)
        return F.layer_norm(pixels, self.weight.shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)

    def _many_at_once(self, pixels: Tensor) -> Tensor:
        """Of (B, H, W, C), with means taken by a matrix product."""
        channels = len(self.weight)
        rows, mean = pixels.float().reshape(-1, ROW), _averaging(channels)
        centred = torch.addmm(rows, rows, mean, alpha=-1)
        normed = centred * torch.rsqrt(centred.square() @ mean + self.eps)
        weight, bias = (x.repeat(ROW // channels) for x in (self.weight, self.bias))
        return torch.addcmul(bias, normed.to(pixels.dtype), weight).view(pixels.shape)
