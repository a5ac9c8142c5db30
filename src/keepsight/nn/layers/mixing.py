"""The product at the heart of attention: softmax(q k') v, by whichever kernel is fastest here.

PyTorch's fused kernel is the right one nearly everywhere. It is not on CPUs that multiply bfloat16 natively
but have no AMX (AMD Zen 4 and later, Intel Cooper Lake): there its inner products run at half the speed of
the plain matrix product, so long sequences are mixed in blocks of queries instead.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["mix", "mixes_any_width"]

# Queries per block: enough rows for the matrix product to reach its speed, few enough that a block of
# weights over 28,736 keys takes 30 MB.
BLOCK = 512
# Below this many keys the fused kernel's smaller overhead wins.
MANY_KEYS = 1024


def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention.

    Args:
        q: (B, heads, Q, d).
        k: (B, heads, K, d).
        v: (B, heads, K, e); e = d unless `mixes_any_width(q, k)`.

    Returns:
        (B, heads, Q, e).
    """
    return _in_blocks(q, k, v) if mixes_any_width(q, k) else F.scaled_dot_product_attention(q, k, v)


def mixes_any_width(q: Tensor, k: Tensor) -> bool:
    """Whether `mix` works in blocks here, which lets values be of another width than keys.

    Since each query's weights sum to 1, a projection of the values may then wait until they are mixed,
    which is exact and saves work where the memory is narrower than the attention.
    """
    fits = q.device.type == "cpu" and q.dtype == torch.bfloat16 and k.shape[2] >= MANY_KEYS
    return fits and not torch.is_grad_enabled() and _plain_product_is_faster()


def _in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores = q.new_empty(BLOCK, k.shape[2])
    weights = torch.empty_like(scores)
    # The fused kernel's layout, in which heads join to channels without a copy.
    mixed = q.new_empty(q.shape[0], q.shape[2], q.shape[1], v.shape[3]).transpose(1, 2)
    pairs = zip(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), _pages(mixed), strict=True)
    for queries, keys, values, out in pairs:
        for part, place in zip(torch.split(queries, BLOCK), torch.split(out, BLOCK), strict=True):
            score, weight = scores[: len(part)], weights[: len(part)]
            torch.addmm(score, part, keys.t(), beta=0, alpha=q.shape[3] ** -0.5, out=score)
            torch.softmax(score, dim=-1, out=weight)
            place.copy_(weight @ values)
    return mixed


def _pages(mixed: Tensor) -> Iterator[Tensor]:
    for sample in mixed:
        yield from sample


@lru_cache(maxsize=1)
def _plain_product_is_faster() -> bool:
    # Public since torch 2.10 or so; without it the fused kernel is used.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16")) and not capabilities.get("amx_tile")
