"""Normalisation over channels, a pixel at a time and many."""

import pytest
import torch
from torch.nn import functional as F

from keepsight.nn.layers.norm import FEW, ChannelNorm


@pytest.mark.parametrize("size", [(2, 5, 7), (3, 4, 8)])  # the second of as many numbers as fill rows
@pytest.mark.parametrize("channels", [1, 3, 4, FEW, FEW + 1, 32])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_every_pixel_is_normalised_over_its_channels(
    size: tuple[int, int, int], channels: int, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    norm = ChannelNorm(channels)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    norm.to(dtype)
    batch, height, width = size
    x = (3 * torch.randn(batch, channels, height, width) + 10).to(dtype)
    rows = x.double().permute(0, 2, 3, 1)
    expected = F.layer_norm(rows, (channels,), norm.weight.double(), norm.bias.double(), 1e-6)
    found = norm(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found.permute(0, 2, 3, 1).double(), expected, atol=tolerance, rtol=tolerance)


def test_gradients_of_many_pixels_at_once_are_those_of_each() -> None:
    norm, x = ChannelNorm(4), torch.randn(1, 4, 4, 4, requires_grad=True)
    weights = torch.randn(1, 4, 4, 4)
    (norm(x) * weights).sum().backward()
    (expected,) = torch.autograd.grad(
        (F.layer_norm(x.permute(0, 2, 3, 1), (4,), eps=1e-6).permute(0, 3, 1, 2) * weights).sum(), x
    )
    torch.testing.assert_close(x.grad, expected, atol=1e-5, rtol=1e-4)


def test_autocast_takes_no_means_in_half_precision() -> None:
    torch.manual_seed(0)
    norm, x = ChannelNorm(4), torch.randn(1, 4, 8, 8) + 100
    expected = norm(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(norm(x).float(), expected, atol=0.03, rtol=0.03)
