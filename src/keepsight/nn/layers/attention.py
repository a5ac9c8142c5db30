"""Attention with projections, plain and rotary."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.derived import Derived
from keepsight.nn.layers.mixing import mix, mixes_in_blocks
from keepsight.nn.layers.position import Rotation, rotate

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
    """Attention whose queries and keys are turned by their place on the grid.

    The rotation couples neighbouring channels (0 with 1, 2 with 3 ...). A head's channels may be reordered
    freely as long as queries and keys agree, so the projections put all first partners before all second
    ones, which makes the rotation two contiguous halves.
    """

    order: Tensor

    def __init__(self, width: int, memory_width: int | None = None, heads: int = 1) -> None:
        super().__init__(width, heads, inner=width, memory_width=memory_width)
        # On the CPU even while the parameters are built without memory: no checkpoint fills this in.
        partners = torch.arange(width, device="cpu").view(heads, -1, 2)
        self.register_buffer("order", partners.transpose(1, 2).flatten(), persistent=False)
        self._asking, self._offering, self._itself, self._late = (Derived[_Affine]() for _ in range(4))

    def forward(  # type: ignore[override]
        self, queries: Tensor, keys: Tensor, values: Tensor, rotation: Rotation, grids: int = 1
    ) -> Tensor:
        """As `Attention`; the queries lie on one grid, the keys on `grids` of them and some on none.

        Where all three are one tensor, they are projected at once.
        """
        if queries is keys is values:
            q, k, v = self._of_one(queries, rotation)
            return self._joined(mix(q, k, v))
        q = self._turned(self._asking, self.query, queries, rotation, 1)
        k = self._turned(self._offering, self.key, keys, rotation, grids)
        q = q.expand(len(k), -1, -1, -1)
        if self.heads == 1 and mixes_in_blocks(q, k, values.shape[2]):
            late = self._late.get(self._parameters_of(self.value, self.out), None, self._value_and_out)
            return F.linear(mix(q, k, values[:, None])[:, 0], *late)
        return self._joined(mix(q, k, self._split(self.value(values))))

    def _of_one(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, ...]:
        """Queries, keys and values of the same tokens, projected at once: each (B, heads, tokens, .)."""
        itself = self._itself.get(
            self._parameters_of(self.query, self.key, self.value), None, self._query_key_and_value
        )
        heads = F.linear(x, *itself).view(*x.shape[:2], 3 * self.heads, -1)
        rotate(heads[:, :, : 2 * self.heads], rotation, 1)
        return heads.transpose(1, 2).tensor_split(3, dim=1)

    def _turned(
        self, kept: Derived[_Affine], layer: nn.Linear, x: Tensor, rotation: Rotation, grids: int
    ) -> Tensor:
        """Projected, reordered and turned: (B, heads, tokens, inner / heads)."""
        reordered = kept.get(self._parameters_of(layer), None, lambda: self._reordered(layer))
        heads = F.linear(x, *reordered).view(*x.shape[:2], self.heads, -1)
        rotate(heads, rotation, grids)
        return heads.transpose(1, 2)

    def _parameters_of(self, *layers: nn.Linear) -> tuple[Tensor, ...]:
        return tuple(p for layer in layers for p in (layer.weight, layer.bias))

    def _reordered(self, layer: nn.Linear) -> _Affine:
        return _Affine(layer.weight[self.order], layer.bias[self.order])

    def _query_key_and_value(self) -> _Affine:
        pieces = self._reordered(self.query), self._reordered(self.key), self.value
        return _Affine(torch.cat([x.weight for x in pieces]), torch.cat([x.bias for x in pieces]))

    def _value_and_out(self) -> _Affine:
        """Both projections as one: nothing comes between them where values are projected late."""
        weight = self.out.weight @ self.value.weight
        return _Affine(weight, self.out.weight @ self.value.bias + self.out.bias)

    def _joined(self, mixed: Tensor) -> Tensor:
        """(B, heads, tokens, inner / heads) -> (B, tokens, width)."""
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out
