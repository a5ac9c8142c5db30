"""Parts of the mask decoder that are computed in another way than they are written down."""

import pytest
import torch
from torch import nn

from keepsight.nn.mask_decoder import _doubled


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_upscaling_by_one_product_is_the_transposed_convolution(
    bias: bool, order: torch.memory_format
) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(6, 5, kernel_size=2, stride=2, bias=bias)
    x = torch.randn(3, 6, 4, 7).contiguous(memory_format=order).requires_grad_()
    found, expected = _doubled(layer, x), layer(x)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * weights).sum(), x) for y in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
