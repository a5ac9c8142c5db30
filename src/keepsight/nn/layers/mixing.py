"""The product at the heart of attention: softmax(q k') v, by whichever kernel is fastest here.

PyTorch's fused kernel is the right one nearly everywhere. On CPUs three cases are faster by the plain matrix
product. Where many queries ask few keys, as an image asks a few tokens, the kernel's rows of weights don't
fill a vector: all heads are multiplied as one. In blocks of queries are computed bfloat16 where it is
multiplied natively but without AMX (AMD Zen 4 and later, Intel Cooper Lake), since the fused kernel's inner
products run at half speed there; and float32 whose values are narrower than its keys, for which the fused
kernel knows no way.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["mix", "mixes_in_blocks"]

# Queries per block: enough rows for the matrix product to reach its speed.
BLOCK = 512
# Weights per block: over 28,736 keys, those of 512 queries; over few keys, those of many samples at once.
WEIGHTS = BLOCK * 28736
# Below so many numbers in a head's keys the fused kernel's smaller overhead wins; measured.
MANY = 1 << 16
# Fewer keys than this are multiplied in all heads at once, for at least so many queries; measured.
FEW_KEYS, MANY_QUERIES = 16, 256


def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention.

    Args:
        q: (B, heads, Q, d).
        k: (B, heads, K, d).
        v: (B, heads, K, e); e = d unless `mixes_in_blocks(q, k, e)`.

    Returns:
        (B, heads, Q, e).
    """
    if mixes_in_blocks(q, k, v.shape[3]):
        return _in_blocks(q, k, v)
    if q.device.type == "cpu" and k.shape[2] < FEW_KEYS and q.shape[2] >= MANY_QUERIES:
        return _heads_as_one(q, k, v)
    return F.scaled_dot_product_attention(q, k, v)


def mixes_in_blocks(q: Tensor, k: Tensor, width: int) -> bool:
    """Whether `mix` works in blocks for values of this width, which may then be another than the keys'.

    Since each query's weights sum to 1, a projection of the values may wait until they are mixed, which is
    exact and saves work where the memory is narrower than the attention.
    """
    if q.device.type != "cpu" or torch.is_grad_enabled() or k.shape[2] * k.shape[3] < MANY:
        return False
    if q.dtype == torch.float32:
        return width < k.shape[3]
    return q.dtype == torch.bfloat16 and _plain_product_is_faster()


def _in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows, many = min(BLOCK, q.shape[2]), k.shape[2]
    samples = min(len(q), max(1, WEIGHTS // (rows * many)))
    room, scale = q.new_empty(samples * rows * many), q.shape[3] ** -0.5
    # The fused kernel's layout, in which heads join to channels without a copy.
    mixed = q.new_empty(q.shape[0], q.shape[2], q.shape[1], v.shape[3]).transpose(1, 2)
    for head in range(q.shape[1]):
        groups = (torch.split(x[:, head], samples) for x in (q, k, v, mixed))
        for queries, keys, values, out in zip(*groups, strict=True):
            for part, place in zip(queries.split(rows, dim=1), out.split(rows, dim=1), strict=True):
                weights = room[: part.shape[0] * part.shape[1] * many].view(*part.shape[:2], many)
                torch.baddbmm(weights, part, keys.mT, beta=0, alpha=scale, out=weights)
                torch.softmax(weights, dim=-1, out=weights)
                place.copy_(weights @ values)
    return mixed


def _heads_as_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Every head's product at once, with zeros where keys and values of another head would be.

    Weights stand in a column per query: a softmax along short rows would take longer than all else.
    """
    heads, keys = k.shape[1:3]
    own = torch.eye(heads, dtype=q.dtype)[:, :, None]
    offered, told = ((x.transpose(1, 2)[:, :, :, None] * own).flatten(3).flatten(1, 2) for x in (k, v))
    asked = q.transpose(1, 2).flatten(2) * q.shape[3] ** -0.5  # (B, Q, heads d)
    weights: Tensor = (offered @ asked.mT).view(len(k), keys, heads, -1).softmax(dim=1).flatten(1, 2)
    return (weights.mT @ told).view(*asked.shape[:2], heads, -1).transpose(1, 2)


@lru_cache(maxsize=1)
def _plain_product_is_faster() -> bool:
    # Public since torch 2.10 or so; without it the fused kernel is used.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16")) and not capabilities.get("amx_tile")
