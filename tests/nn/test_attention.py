"""Rotary attention computes the same in whichever way its inputs are projected."""

import pytest
import torch
from torch import Tensor

from keepsight.nn.layers.attention import RotaryAttention
from keepsight.nn.layers.position import axial_rotation

SIDE = 4


def plainly(layer: RotaryAttention, queries: Tensor, keys: Tensor, values: Tensor, grids: int) -> Tensor:
    """As it is written: neighbouring channels are a complex number, and turn by their place."""
    width, heads = queries.shape[2], layer.heads
    turn = axial_rotation(SIDE, SIDE, width // heads, torch.device("cpu"))

    def split(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

    def turned(x: Tensor, count: int) -> Tensor:
        pairs = torch.view_as_complex(split(x).reshape(len(x), heads, x.shape[1], -1, 2).contiguous())
        placed = count * SIDE * SIDE
        there = pairs[:, :, :placed] * turn.repeat(count, 1)
        return torch.view_as_real(torch.cat((there, pairs[:, :, placed:]), dim=2)).flatten(3)

    q, k = turned(layer.query(queries), 1), turned(layer.key(keys), grids)
    weights = (q @ k.mT / q.shape[3] ** 0.5).softmax(dim=-1)
    mixed = weights @ split(layer.value(values))
    out: Tensor = layer.out(mixed.transpose(1, 2).flatten(2))
    return out


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_attention_of_one_tensor_to_itself(heads: int, batch: int) -> None:
    torch.manual_seed(0)
    layer, x = RotaryAttention(16, heads=heads), torch.randn(batch, SIDE * SIDE, 16)
    table = axial_rotation(SIDE, SIDE, 16 // heads, torch.device("cpu"))
    expected = plainly(layer, x, x, x, 1)
    torch.testing.assert_close(layer(x, x, x, table), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(layer(x, x.clone(), x.clone(), table), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_to_a_memory_whose_last_tokens_have_no_place(heads: int) -> None:
    torch.manual_seed(0)
    layer, queries = RotaryAttention(16, memory_width=8, heads=heads), torch.randn(1, SIDE * SIDE, 16)
    keys, values = torch.randn(2, 2 * SIDE * SIDE + 3, 8), torch.randn(2, 2 * SIDE * SIDE + 3, 8)
    table = axial_rotation(SIDE, SIDE, 16 // heads, torch.device("cpu"))
    expected = plainly(layer, queries.expand(2, -1, -1), keys, values, 2)
    torch.testing.assert_close(layer(queries, keys, values, table, 2), expected, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_the_plain_computation() -> None:
    torch.manual_seed(0)
    layer, x = RotaryAttention(16), torch.randn(2, SIDE * SIDE, 16, requires_grad=True)
    table = axial_rotation(SIDE, SIDE, 16, torch.device("cpu"))
    inputs = [x, *layer.parameters()]
    found = torch.autograd.grad(layer(x, x, x, table).square().sum(), inputs)
    expected = torch.autograd.grad(plainly(layer, x, x, x, 1).square().sum(), inputs)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
