"""SAM 3's image encoder: a plain vision transformer and a neck that makes three levels of its one map.

Most blocks attend within windows, a few over the whole image (Li et al. 2022, ViTDet); places are told by
axial rotation (Heo et al. 2024) and by the absolute positions of pre-training, which are laid out like tiles.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.attention import RotaryAttention
from keepsight.nn.layers.mlp import Mlp
from keepsight.nn.layers.position import axial_rotation
from keepsight.nn.layers.windows import join_windows, split_windows

__all__ = ["VitConfig", "VitEncoder"]

EPSILON = 1e-6


@dataclass(frozen=True)
class VitConfig:
    """What a `VitEncoder` is built from; the defaults are SAM 3's.

    Attributes:
        width: channels of the transformer.
        layers: its blocks.
        heads: attention heads of each.
        ffn: hidden width of their perceptrons.
        patch: side of a patch in pixels.
        window: side of an attention window in patches; divides the side of the grid.
        global_layers: blocks that attend over the whole image.
        pretrained_grid: side of the grid of absolute positions.
    """

    width: int = 1024
    layers: int = 32
    heads: int = 16
    ffn: int = 4736
    patch: int = 14
    window: int = 24
    global_layers: tuple[int, ...] = (7, 15, 23, 31)
    pretrained_grid: int = 24


class _Block(nn.Module):
    def __init__(self, config: VitConfig, window: int) -> None:
        super().__init__()
        self.window = window  # 0: the whole image
        self.norm1 = nn.LayerNorm(config.width, eps=EPSILON)
        self.attention = RotaryAttention(config.width, heads=config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=EPSILON)
        self.mlp = Mlp(config.width, config.ffn, config.width, activation=F.gelu)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """Updates a map (B, h, w, width)."""
        x = x + self._attend(self.norm1(x), rotation)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attend(self, x: Tensor, rotation: Tensor) -> Tensor:
        windows = split_windows(x, self.window) if self.window else x
        tokens = windows.flatten(1, 2)
        mixed: Tensor = self.attention(tokens, tokens, tokens, rotation).view(windows.shape)
        return join_windows(mixed, (x.shape[1], x.shape[2])) if self.window else mixed


class _Level(nn.Module):
    """One level of the neck: the map enlarged by powers of two, then convolved."""

    def __init__(self, inputs: int, width: int, doublings: int) -> None:
        super().__init__()
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(inputs >> i, inputs >> (i + 1), kernel_size=2, stride=2)
            for i in range(doublings)
        )
        self.project = nn.Conv2d(inputs >> doublings, width, 1)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, width, h << doublings, w << doublings)."""
        for i, layer in enumerate(self.enlarge):
            x = layer(F.gelu(x) if i else x)
        out: Tensor = self.smooth(self.project(x))
        return out


class VitEncoder(nn.Module):
    """The transformer and its neck.

    Args:
        config: its numbers.
        width: C, the width of the three levels that leave the encoder.
    """

    def __init__(self, config: VitConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(3, config.width, config.patch, stride=config.patch, bias=False)
        self.position = nn.Parameter(torch.randn(config.pretrained_grid**2, config.width))
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.blocks = nn.ModuleList(
            _Block(config, 0 if i in config.global_layers else config.window) for i in range(config.layers)
        )
        self.levels = nn.ModuleList(_Level(config.width, width, doublings) for doublings in (2, 1, 0))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes images.

        Args:
            pixels: (B, 3, S, S) normalised, S a multiple of patch times window.

        Returns:
            Features of width C with 4h, 2h and h = S / patch cells along a side.

        Raises:
            ValueError: S is not such a multiple.
        """
        side, window = pixels.shape[-1] // self.config.patch, self.config.window
        if side * self.config.patch != pixels.shape[-1] or side % window:
            step = self.config.patch * window
            raise ValueError(f"Expected images whose sides are multiples of {step}, got {pixels.shape[-1]}.")
        x = self.patches(pixels).permute(0, 2, 3, 1)
        x = self.norm(x + self._tiled(side))
        channels = self.config.width // self.config.heads
        near = axial_rotation(window, window, channels, x.device)
        wide = axial_rotation(side, side, channels, x.device, window / side)
        for block in self.blocks:
            x = block(x, near if block.window else wide)
        x = x.permute(0, 3, 1, 2)
        fine, middle, coarse = (level(x) for level in self.levels)
        return fine, middle, coarse

    def _tiled(self, side: int) -> Tensor:
        """Positions (side, side, width), repeated where the image is larger than in pre-training."""
        grid = self.config.pretrained_grid
        times = -(-side // grid)
        return self.position.view(grid, grid, -1).tile(times, times, 1)[:side, :side]
