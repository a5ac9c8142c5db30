"""Memory attention: the frame's embedding looks at the object's memory (SAM 2, section 4 and C.1)."""

from collections.abc import Container
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.attention import RotaryAttention
from keepsight.nn.layers.position import axial_rotation, sine_grid

__all__ = ["MemoryAttention", "MemoryTokens"]


class MemoryTokens(NamedTuple):
    """A batch of memories laid out as one sequence: the maps' tokens, frame after frame, then pointers."""

    keys: Tensor  # (B, F * n + pointer tokens, memory_width): the values with their positions added
    values: Tensor  # (B, F * n + pointer tokens, memory_width)
    frames: int  # F


class _Layer(nn.Module):
    def __init__(self, width: int, memory_width: int, ffn: int, *, looks: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.self_attention = RotaryAttention(width)
        self.norm2 = nn.LayerNorm(width) if looks else None
        self.cross_attention = RotaryAttention(width, memory_width) if looks else None
        self.norm3 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, ffn)
        self.contract = nn.Linear(ffn, width)

    def forward(self, x: Tensor, memory: MemoryTokens, rotation: Tensor) -> Tensor:
        """(1 or B, n, C) -> (B, n, C)."""
        normed = self.norm1(x)
        x = self.self_attention(normed, normed, normed, rotation).add_(x)
        if self.norm2 is not None and self.cross_attention is not None:
            seen = self.cross_attention(self.norm2(x), memory.keys, memory.values, rotation, memory.frames)
            x = seen.add_(x)
        out: Tensor = self.contract(F.relu(self.expand(self.norm3(x)), inplace=True)).add_(x)
        return out


class MemoryAttention(nn.Module):
    """A stack of layers of self-attention, cross-attention to the memory, and a perceptron.

    Args:
        width: C, the width of the image embedding.
        memory_width: width of a memory token.
        layers: how many.
        ffn: hidden width of the perceptrons.
        self_only: which layers, from 0, do without the cross-attention.
    """

    def __init__(
        self, width: int, memory_width: int, layers: int, ffn: int, self_only: Container[int] = ()
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Layer(width, memory_width, ffn, looks=i not in self_only) for i in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, embedding: Tensor, memory: MemoryTokens) -> Tensor:
        """Conditions an embedding on B memories.

        Args:
            embedding: (1 or B, C, h, w); with 1, what does not depend on the memory is computed once.
            memory: B memories of one layout.

        Returns:
            (B, C, h, w).
        """
        channels, height, width = embedding.shape[1:]
        place = sine_grid(height, width, channels, embedding.device, embedding.dtype)
        x = (embedding + 0.1 * place).flatten(2).transpose(1, 2)
        rotation = axial_rotation(height, width, channels, x.device)
        for layer in self.layers:
            x = layer(x, memory, rotation)
        out: Tensor = self.norm(x)
        return out.transpose(1, 2).reshape(len(out), channels, height, width)
