"""Convolutions that are computed with what follows them."""

import copy
import pickle

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from keepsight.nn.layers import convolution
from keepsight.nn.layers.convolution import Activation, FusedConv

# Channels that come and go, kernel, stride, padding and groups, as the networks have them.
SHAPES = [(3, 32, 3, 2, 2, 1), (16, 96, 1, 1, 0, 1), (24, 24, 5, 1, 2, 24), (6, 10, 2, 2, 0, 1)]
# What oneDNN sums in another order, or rounds once less.
TOLERANCES = [(torch.float32, 1e-5), (torch.bfloat16, 0.03)]


def made(shape: tuple[int, ...], activation: Activation, dtype: torch.dtype = torch.float32) -> FusedConv:
    inputs, outputs, kernel, stride, padding, groups = shape
    torch.manual_seed(0)
    return FusedConv(
        inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, activation=activation
    ).to(dtype)


def plainly(layer: FusedConv, x: Tensor) -> Tensor:
    out = F.conv2d(
        x.double(),
        layer.weight.double(),
        None if layer.bias is None else layer.bias.double(),
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    )
    return {"none": out, "relu6": F.relu6(out), "gelu": F.gelu(out)}[layer.activation]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activation", ["none", "relu6", "gelu"])
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_convolution_and_an_activation(
    shape: tuple[int, ...],
    activation: Activation,
    dtype: torch.dtype,
    tolerance: float,
    order: torch.memory_format,
) -> None:
    layer = made(shape, activation, dtype)
    for batch, side in ((1, 12), (3, 20)):  # the weight that was packed for the one serves for the other
        x = (4 * torch.randn(batch, shape[0], side, side)).to(dtype).contiguous(memory_format=order)
        expected = plainly(layer, x)
        with torch.inference_mode():
            found = layer(x)
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(layer(x).double(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("own", [True, False])
def test_it_is_added_onto_a_map_of_each_or_one_of_all(
    shape: tuple[int, ...], dtype: torch.dtype, tolerance: float, order: torch.memory_format, own: bool
) -> None:
    layer = made(shape, "none", dtype)
    x = torch.randn(3, shape[0], 12, 12).to(dtype)
    product = plainly(layer, x)
    onto = torch.randn(3 if own else 1, *product.shape[1:]).to(dtype).contiguous(memory_format=order)
    expected = onto.double() + product
    torch.testing.assert_close(layer(x, onto).double(), expected, atol=tolerance, rtol=tolerance)
    with torch.inference_mode():  # after that, `onto` may be anything
        found = layer(x, onto)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=tolerance, rtol=tolerance)


def test_gradients_arrive_at_what_it_is_added_onto() -> None:
    layer, x = made(SHAPES[1], "none"), torch.randn(2, 16, 8, 8)
    onto = torch.randn(2, 96, 8, 8, requires_grad=True)
    layer(x, onto).sum().backward()
    assert onto.grad is not None
    assert torch.equal(onto.grad, torch.ones_like(onto))


def test_it_is_packed_where_no_gradient_is_wanted_and_only_there() -> None:
    if not convolution._TYPES:
        pytest.skip("this build of PyTorch has no oneDNN")
    layer, x = made(SHAPES[1], "relu6"), torch.randn(1, 16, 8, 8, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer._packed._made is None
    with torch.no_grad():
        layer(x)
    first = layer._packed._made
    assert first is not None
    with torch.inference_mode():
        layer(x)
    assert layer._packed._made is first


def test_weights_are_packed_for_as_many_threads_as_compute() -> None:
    """With a layout that was made for others oneDNN falls back to something that takes many times as long."""
    if not convolution._TYPES:
        pytest.skip("this build of PyTorch has no oneDNN")
    layer, x, threads = made(SHAPES[1], "relu6"), torch.randn(1, 16, 8, 8), torch.get_num_threads()
    try:
        with torch.inference_mode():
            expected, first = layer(x), layer._packed._made
            torch.set_num_threads(threads + 1)
            torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
            assert layer._packed._made is not first
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("how", ["a step", "a file", "another type and back"])
def test_weights_that_change_are_packed_anew(how: str) -> None:
    layer, x = made(SHAPES[1], "none"), torch.randn(1, 16, 8, 8)
    with torch.no_grad():
        layer(x)
        if how == "a step":
            layer.weight.add_(1)
        elif how == "a file":
            layer.load_state_dict({name: tensor + 1 for name, tensor in layer.state_dict().items()})
        else:
            layer.to(torch.bfloat16).to(torch.float32)
        torch.testing.assert_close(layer(x).double(), plainly(layer, x), atol=1e-5, rtol=1e-5)


def test_weights_made_without_versions_are_used() -> None:
    with torch.inference_mode():
        layer, x = made(SHAPES[1], "relu6"), torch.randn(1, 16, 8, 8)
        torch.testing.assert_close(layer(x).double(), plainly(layer, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_compute_the_same(way: object) -> None:
    layer, x = made(SHAPES[1], "gelu"), torch.randn(1, 16, 8, 8)
    with torch.inference_mode():
        expected = layer(x)
        other = way(layer)  # type: ignore[operator]
        torch.testing.assert_close(other(x), expected, atol=0, rtol=0)


def test_builds_without_the_operators_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = made(SHAPES[2], "relu6"), 4 * torch.randn(1, 24, 9, 9)
    with torch.inference_mode():
        expected = layer(x)
        monkeypatch.setattr(convolution, "_TYPES", frozenset())
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_autocast_decides_the_type() -> None:
    layer, x = made(SHAPES[1], "relu6"), torch.randn(1, 16, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_types_are_computed_as_ever(dtype: torch.dtype) -> None:
    layer, x = made(SHAPES[1], "relu6", dtype), torch.randn(1, 16, 8, 8).to(dtype)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x).double(), plainly(layer, x), atol=5e-3, rtol=5e-3)
