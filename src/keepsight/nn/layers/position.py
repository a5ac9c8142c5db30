"""Positional encodings: sines of the grid, sines of time, random Fourier features, axial rotation.

The tables depend on sizes alone, so they are made once per size, device and type and shared.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from keepsight.nn.layers.derived import Derived

__all__ = ["FourierPosition", "axial_rotation", "rotate", "sine_grid", "sine_time"]

TEMPERATURE = 10000.0


def _frequencies(count: int) -> Tensor:
    """Wavelengths in pairs, so that a sine and a cosine share one (Attention Is All You Need, 3.5)."""
    index = torch.arange(count, dtype=torch.float32)
    return TEMPERATURE ** (2 * (index // 2) / count)


@lru_cache(maxsize=32)
def sine_grid(height: int, width: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sine encoding of a grid, (channels, height, width): the y half first, then x (DETR, A.4)."""

    def encode(length: int) -> Tensor:
        places = torch.arange(1, length + 1, dtype=torch.float32)
        angles = (places / (length + 1e-6) * 2 * math.pi)[:, None] / _frequencies(channels // 2)
        return torch.stack((angles[:, 0::2].sin(), angles[:, 1::2].cos()), dim=2).flatten(1)

    # Tables outlive the inference-mode block that first asks for them and may meet autograd later.
    with torch.inference_mode(False):
        rows = encode(height)[:, None].expand(height, width, channels // 2)
        columns = encode(width)[None].expand(height, width, channels // 2)
        return torch.cat((rows, columns), dim=2).permute(2, 0, 1).to(device, dtype)


def sine_time(positions: Tensor, channels: int) -> Tensor:
    """Sine encoding of scalars: (...) -> (..., channels), all sines first, then all cosines."""
    angles = positions[..., None] / _frequencies(channels // 2).to(positions.device)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class FourierPosition(nn.Module):
    """Random Fourier features of image positions (Tancik et al. 2020), as in SAM's prompt encoder."""

    gaussian: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("gaussian", torch.randn(2, channels // 2))
        self._grids = Derived[Tensor]()

    def forward(self, places: Tensor) -> Tensor:
        """Encodes (..., 2) x, y positions of 0..1 into (..., channels), in float32."""
        angles = 2 * math.pi * ((2 * places.float() - 1) @ self.gaussian.float())
        return torch.cat((angles.sin(), angles.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encodes the pixel centres of a grid: (1, channels, height, width), of the buffer's type."""
        return self._grids.get((self.gaussian,), (height, width), lambda: self._grid(height, width))

    def _grid(self, height: int, width: int) -> Tensor:
        device = self.gaussian.device
        rows = (torch.arange(height, device=device) + 0.5) / height
        columns = (torch.arange(width, device=device) + 0.5) / width
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        places: Tensor = self(torch.stack((x, y), dim=-1))
        return places.permute(2, 0, 1)[None].to(self.gaussian.dtype)


@lru_cache(maxsize=8)
def axial_rotation(
    height: int, width: int, channels: int, device: torch.device, scale: float = 1.0
) -> Tensor:
    """Axial rotary encoding of a grid (RoPE for vision transformers, Heo et al. 2024).

    Half of the channel pairs turn with x, half with y; `scale` is the distance of neighbouring places.

    Returns:
        (n, channels / 2) complex numbers of length 1.
    """
    with torch.inference_mode(False):
        speed = 1.0 / TEMPERATURE ** (torch.arange(0, channels, 4)[: channels // 4].float() / channels)
        token = torch.arange(height * width)
        x_angles = torch.outer((token % width).float() * scale, speed)
        y_angles = torch.outer(torch.div(token, width, rounding_mode="floor").float() * scale, speed)
        angles = torch.cat((x_angles, y_angles), dim=-1)
        return torch.complex(angles.cos(), angles.sin()).to(device)


def rotate(x: Tensor, rotation: Tensor, grids: int) -> None:
    """Turns vectors by their place on the grid, in place.

    Args:
        x: (B, tokens, vectors, channels); neighbouring channels are the parts of a complex number.
        rotation: table of one grid of n tokens.
        grids: how many grids the sequence begins with, as memory frames do; the tokens after them, as
            object pointers, are not turned.
    """
    places = len(rotation)
    pairs = x[:, : grids * places].view(len(x), grids, places, x.shape[2], -1, 2)
    # There are no complex numbers of half precision.
    wide = pairs if pairs.dtype in (torch.float32, torch.float64) else pairs.float()
    torch.view_as_complex(wide).mul_(rotation[:, None])
    if wide is not pairs:
        pairs.copy_(wide)
