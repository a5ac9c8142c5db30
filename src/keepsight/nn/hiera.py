"""Hiera image encoder with a feature-pyramid neck.

Hiera (Ryali et al. 2023) as SAM 2 uses it: windowed attention, pooling of queries where a stage begins,
absolute positions made of a coarse background and a repeated window (Bolya et al. 2023).
"""

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.derived import Derived
from keepsight.nn.layers.mixing import mix
from keepsight.nn.layers.mlp import Mlp
from keepsight.nn.layers.windows import join_windows, split_windows

__all__ = ["HieraConfig", "HieraEncoder"]


@dataclass(frozen=True)
class HieraConfig:
    """The numbers in which the four sizes of SAM 2 differ.

    Attributes:
        width: channels of the first stage; each later stage doubles them, and the heads.
        heads: attention heads of the first stage.
        stages: blocks per stage.
        global_blocks: blocks that attend over the whole image.
        background: grid of the coarse position encoding.
        windows: side of the attention window in each stage.
    """

    width: int = 96
    heads: int = 1
    stages: tuple[int, int, int, int] = (1, 2, 7, 2)
    global_blocks: tuple[int, ...] = (5, 7, 9)
    background: tuple[int, int] = (7, 7)
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the stages' outputs, at strides 4, 8, 16 and 32."""
        return self.width, self.width * 2, self.width * 4, self.width * 8


@dataclass(frozen=True)
class _BlockPlan:
    width: int
    out: int
    heads: int
    window: int  # 0: the whole image
    pool: bool


def _plan(config: HieraConfig) -> list[_BlockPlan]:
    """Lists the blocks; a stage's first block still uses the window of the stage before."""
    plans: list[_BlockPlan] = []
    for stage, depth in enumerate(config.stages):
        for block in range(depth):
            first = block == 0 and stage > 0
            window = config.windows[stage - 1 if first else stage]
            width = config.channels[stage]
            plans.append(
                _BlockPlan(
                    width=width // 2 if first else width,
                    out=width,
                    heads=config.heads * 2**stage,
                    window=0 if len(plans) in config.global_blocks else window,
                    pool=first,
                )
            )
    return plans


def _pool(x: Tensor) -> Tensor:
    """Halves both sides of (B, H, W, C) by taking the maximum."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


class _WindowAttention(nn.Module):
    def __init__(self, plan: _BlockPlan) -> None:
        super().__init__()
        self.plan = plan
        self.qkv = nn.Linear(plan.width, 3 * plan.out)
        self.out = nn.Linear(plan.out, plan.out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, width) -> (B, H', W', out), H' = H / 2 where the block pools."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.plan.pool:
            q = _pool(q)
        shape = q.shape
        q, k, v = (self._heads(t) for t in (q, k, v))
        mixed = mix(q, k, v).transpose(1, 2).reshape(shape)
        out: Tensor = self.out(mixed)
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """(B, H, W, out) -> (B, heads, H * W, out / heads)."""
        return x.reshape(len(x), x.shape[1] * x.shape[2], self.plan.heads, -1).transpose(1, 2)


class _Block(nn.Module):
    def __init__(self, plan: _BlockPlan) -> None:
        super().__init__()
        self.plan = plan
        self.norm1 = nn.LayerNorm(plan.width, eps=1e-6)
        self.attention = _WindowAttention(plan)
        self.norm2 = nn.LayerNorm(plan.out, eps=1e-6)
        self.mlp = Mlp(plan.out, 4 * plan.out, plan.out, activation=F.gelu)
        self.widen = nn.Linear(plan.width, plan.out) if plan.width != plan.out else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, width) -> (B, H', W', out)."""
        normed = self.norm1(x)
        shortcut = x if self.widen is None else _pool(self.widen(normed))
        x = shortcut + self._attend(normed, (shortcut.shape[1], shortcut.shape[2]))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def _attend(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if not self.plan.window:
            whole: Tensor = self.attention(x)
            return whole
        return join_windows(self.attention(split_windows(x, self.plan.window)), size)


class HieraTrunk(nn.Module):
    """The four stages of Hiera."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, config.width, kernel_size=7, stride=4, padding=3)
        self.position = nn.Parameter(torch.zeros(1, config.width, *config.background))
        self.window_position = nn.Parameter(
            torch.zeros(1, config.width, config.windows[0], config.windows[0])
        )
        self._places = Derived[Tensor]()
        self.blocks = nn.ModuleList(_Block(plan) for plan in _plan(config))
        self.ends = frozenset(end - 1 for end in accumulate(config.stages))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, 3, S, S) -> the stages' maps (B, C, H, W) at strides 4, 8, 16, 32."""
        x = self.patches(pixels)
        size = (x.shape[2], x.shape[3])
        weights = (self.position, self.window_position)
        x = (x + self._places.get(weights, size, lambda: self._positions(size))).permute(0, 2, 3, 1)
        stages = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.ends:
                stages.append(x.permute(0, 3, 1, 2))
        return stages

    def _positions(self, size: tuple[int, int]) -> Tensor:
        coarse = F.interpolate(self.position, size=size, mode="bicubic")
        side = self.window_position.shape[-1]
        return coarse + self.window_position.tile(1, 1, size[0] // side, size[1] // side)


class HieraEncoder(nn.Module):
    """Trunk and neck: lateral 1x1 convolutions, and the coarsest stage added into stride 16."""

    def __init__(self, config: HieraConfig, width: int) -> None:
        super().__init__()
        self.trunk = HieraTrunk(config)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in config.channels)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> maps of `width` channels at strides 4, 8 and 16."""
        fine, middle, coarse, coarsest = (
            lateral(stage) for lateral, stage in zip(self.lateral, self.trunk(pixels), strict=True)
        )
        return fine, middle, coarse + F.interpolate(coarsest, scale_factor=2.0, mode="nearest")
