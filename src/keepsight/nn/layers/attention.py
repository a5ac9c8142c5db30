"""Attention with projections, plain and rotary."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.derived import Derived
from keepsight.nn.layers.mixing import mix, mixes_in_blocks
from keepsight.nn.layers.position import rotate

__all__ = ["Attention", "RotaryAttention"]


class Attention(nn.Module):
    """Multi-head attention with projected queries, keys and values.

    Args:
        width: width of the queries and of the output.
        heads: number of heads.
        inner: width after projection.
        memory_width: width of keys and values; `width` when omitted.
    """

    def __init__(self, width: int, heads: int, inner: int, memory_width: int | None = None) -> None:
        super().__init__()
        memory_width = memory_width or width
        self.heads = heads
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(memory_width, inner)
        self.value = nn.Linear(memory_width, inner)
        self.out = nn.Linear(inner, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(B, Q, width), (B, K, memory_width) twice -> (B, Q, width)."""
        q, k, v = (self._split(x) for x in (self.query(queries), self.key(keys), self.value(values)))
        out: Tensor = self.out(mix(q, k, v).transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(B, tokens, inner) -> (B, heads, tokens, inner / heads)."""
        return x.reshape(len(x), x.shape[1], self.heads, -1).transpose(1, 2)


class _Affine(NamedTuple):
    """What `F.linear` multiplies with and adds."""

    weight: Tensor
    bias: Tensor


class RotaryAttention(Attention):
    """Attention whose queries and keys are turned by their place on the grid (`position.rotate`)."""

    def __init__(self, width: int, memory_width: int | None = None, heads: int = 1) -> None:
        super().__init__(width, heads, inner=width, memory_width=memory_width)
        self._together, self._late = Derived[_Affine](), Derived[_Affine]()

    def forward(  # type: ignore[override]
        self, queries: Tensor, keys: Tensor, values: Tensor, rotation: Tensor, grids: int = 1
    ) -> Tensor:
        """As `Attention`; the queries lie on one grid, the keys on `grids` of them and some on none.

        Where all three are one tensor, they are projected at once.
        """
        if queries is keys is values:
            return self._joined(mix(*self._of_one(queries, rotation)))
        q = self._turned(self.query(queries), rotation, 1)
        k = self._turned(self.key(keys), rotation, grids)
        q = q.expand(len(k), -1, -1, -1)
        if self.heads == 1 and mixes_in_blocks(q, k, values.shape[2]):
            late = self._late.get(_parameters(self.value, self.out), None, self._value_and_out)
            return F.linear(mix(q, k, values[:, None])[:, 0], *late)
        return self._joined(mix(q, k, self._split(self.value(values))))

    def _of_one(self, x: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the same tokens, projected at once: each (B, heads, tokens, .)."""
        layers = self.query, self.key, self.value
        together = self._together.get(_parameters(*layers), None, lambda: _stacked(*layers))
        heads = F.linear(x, *together).view(*x.shape[:2], 3 * self.heads, -1)
        rotate(heads[:, :, : 2 * self.heads], rotation, 1)
        q, k, v = heads.transpose(1, 2).tensor_split(3, dim=1)
        return q, k, v

    def _turned(self, projected: Tensor, rotation: Tensor, grids: int) -> Tensor:
        """(B, tokens, inner) -> (B, heads, tokens, inner / heads), turned."""
        heads = projected.view(*projected.shape[:2], self.heads, -1)
        rotate(heads, rotation, grids)
        return heads.transpose(1, 2)

    def _value_and_out(self) -> _Affine:
        """Both projections as one: nothing comes between them where values are projected late."""
        weight = self.out.weight @ self.value.weight
        return _Affine(weight, self.out.weight @ self.value.bias + self.out.bias)

    def _joined(self, mixed: Tensor) -> Tensor:
        """(B, heads, tokens, inner / heads) -> (B, tokens, width)."""
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


def _parameters(*layers: nn.Linear) -> tuple[Tensor, ...]:
    return tuple(p for layer in layers for p in (layer.weight, layer.bias))


def _stacked(*layers: nn.Linear) -> _Affine:
    """Layers with the same inputs as one, whose outputs are theirs one after the other."""
    return _Affine(torch.cat([x.weight for x in layers]), torch.cat([x.bias for x in layers]))
