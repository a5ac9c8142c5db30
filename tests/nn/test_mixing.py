import pytest
import torch
from torch.nn import functional as F

from keepsight.nn.layers import mixing
from keepsight.nn.layers.attention import RotaryAttention
from keepsight.nn.layers.position import axial_rotation


@pytest.mark.parametrize(("queries", "keys"), [(600, 1300), (512, 1024), (3, 40)])
@pytest.mark.parametrize("width", [16, 5])
def test_blocks_give_what_the_fused_kernel_gives(
    monkeypatch: pytest.MonkeyPatch, queries: int, keys: int, width: int
) -> None:
    generator = torch.Generator().manual_seed(queries)
    q, k = (torch.randn(2, 3, n, 16, generator=generator) for n in (queries, keys))
    v = torch.randn(2, 3, keys, width, generator=generator)
    with torch.inference_mode():
        expected = F.scaled_dot_product_attention(q, k, F.pad(v, (0, 16 - width)))[..., :width]
        torch.testing.assert_close(mixing._in_blocks(q, k, v), expected, atol=1e-5, rtol=1e-5)
        monkeypatch.setattr(mixing, "WEIGHTS", 1)  # a sample at a time
        torch.testing.assert_close(mixing._in_blocks(q, k, v), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("heads", [1, 8])
@pytest.mark.parametrize("keys", [1, 7, 15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_heads_as_one_give_what_the_fused_kernel_gives(heads: int, keys: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(keys)
    many, width = mixing.MANY_QUERIES, 4
    q, k, v = (
        torch.randn(2, n, heads, width, generator=generator).transpose(1, 2) for n in (many, keys, keys)
    )
    expected = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    given = [x.to(dtype).requires_grad_() for x in (q, k, v)]
    found = mixing.mix(*given)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)
    found.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(x.grad is not None and x.grad.isfinite().all() for x in given)


def test_values_projected_late_are_the_same_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = RotaryAttention(64, memory_width=16)
    rotation = axial_rotation(24, 24, 64, torch.device("cpu"))
    queries, keys, values = torch.randn(1, 576, 64), torch.randn(2, 1160, 16), torch.randn(2, 1160, 16)
    with torch.inference_mode():
        expected = layer(queries, keys, values, rotation, 2)
        half = layer.bfloat16()
        given = [x.bfloat16() for x in (queries, keys, values)]
        outcomes = []
        for blocks in (False, True):
            monkeypatch.setattr(mixing, "_plain_product_is_faster", lambda blocks=blocks: blocks)
            outcomes.append(half(*given, rotation, 2).float())
    fused, late = ((found - expected).abs().mean() for found in outcomes)
    assert not torch.equal(*outcomes)
    # Both only round: neither is further from float32 than bfloat16 must be.
    assert float(late) < 1.5 * float(fused) < 0.02 * float(expected.std())


def test_long_float32_memories_are_mixed_before_they_are_projected() -> None:
    torch.manual_seed(0)
    layer = RotaryAttention(32, memory_width=8)
    rotation = axial_rotation(64, 64, 32, torch.device("cpu"))
    queries, keys, values = torch.randn(1, 4096, 32), torch.randn(1, 20000, 8), torch.randn(1, 20000, 8)
    with torch.no_grad():
        late = layer(queries, keys, values, rotation, 4)
    with torch.enable_grad():
        fused = layer(queries, keys, values, rotation, 4)
    torch.testing.assert_close(late, fused, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("faster", [True, False])
def test_where_blocks_are_used(monkeypatch: pytest.MonkeyPatch, faster: bool) -> None:
    monkeypatch.setattr(mixing, "_plain_product_is_faster", lambda: faster)
    half = torch.zeros(1, 1, 1024, 64, dtype=torch.bfloat16)
    few = torch.zeros(1, 1, 576, 128, dtype=torch.bfloat16)
    whole = torch.zeros(1, 1, 512, 128)
    with torch.inference_mode():
        assert mixing.mixes_in_blocks(half, half, 8) is faster
        assert mixing.mixes_in_blocks(few, few, 128) is faster
        assert not mixing.mixes_in_blocks(half, half[:, :, 1:], 8)
        assert not mixing.mixes_in_blocks(few[..., :64], few[..., :64], 64)
        assert mixing.mixes_in_blocks(whole, whole, 4)
        assert not mixing.mixes_in_blocks(whole, whole, 256)
        assert not mixing.mixes_in_blocks(whole, whole[:, :, 1:], 4)
        assert not mixing.mixes_in_blocks(half.half(), half.half(), 4)
    assert not mixing.mixes_in_blocks(whole, whole, 4)
