"""Which layers of memory attention look at the memory."""

import pytest
import torch

from keepsight.nn.layers.attention import RotaryAttention
from keepsight.nn.memory_attention import MemoryAttention, MemoryTokens

WIDTH, MEMORY_WIDTH, SIDE = 16, 8, 3


def memories() -> list[MemoryTokens]:
    torch.manual_seed(1)
    tokens = torch.randn(2, 1, SIDE * SIDE, MEMORY_WIDTH)
    return [MemoryTokens(one, one, 1) for one in tokens]


@pytest.mark.parametrize("self_only", [(), (0,), (1,), (0, 2)])
@torch.inference_mode()
def test_layers_that_look_are_those_that_were_not_left_out(self_only: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    attention = MemoryAttention(WIDTH, MEMORY_WIDTH, 3, 32, self_only).eval()
    looked: list[int] = []
    for i, layer in enumerate(attention.layers):
        assert (layer.norm2 is None) == (layer.cross_attention is None) == (i in self_only)
        if isinstance(layer.cross_attention, RotaryAttention):
            layer.cross_attention.register_forward_hook(lambda *_, i=i: looked.append(i))
    embedding = torch.randn(1, WIDTH, SIDE, SIDE)
    first, second = (attention(embedding, memory) for memory in memories())
    assert looked == 2 * [i for i in range(3) if i not in self_only]
    assert first.shape == embedding.shape
    assert not torch.allclose(first, second)


@torch.inference_mode()
def test_objects_part_where_memory_is_first_looked_at() -> None:
    torch.manual_seed(0)
    attention = MemoryAttention(WIDTH, MEMORY_WIDTH, 2, 32, (0,)).eval()
    embedding = torch.randn(1, WIDTH, SIDE, SIDE)
    apart = [attention(embedding, memory) for memory in memories()]
    keys = torch.cat([memory.keys for memory in memories()])
    torch.testing.assert_close(attention(embedding, MemoryTokens(keys, keys, 1)), torch.cat(apart))
