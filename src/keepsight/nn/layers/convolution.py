"""Convolutions with what follows them, computed by oneDNN in one go where that is possible.

PyTorch lays the weights of a convolution out for the processor anew in every call, and an activation reads
and writes the whole map once more. On CPUs, where no gradient is asked for, weights are laid out once here
and the activation is computed along. The operators are those that PyTorch's own compiler uses; where a build
lacks them, convolutions are computed as ever.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.layers.derived import Derived

__all__ = ["Activation", "FusedConv"]

Activation = Literal["none", "relu6", "gelu"]

# By activation: the operator's name for it, its numbers and its algorithm.
_FUSED: dict[Activation, tuple[str, list[float], str]] = {
    "none": ("none", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
    "gelu": ("gelu", [], "none"),
}
# The operator's name for adding to another map, its factor, and no activation after that.
_ADDED: tuple[str, None, None, list[float], None] = ("add", None, None, [], None)


def _types() -> frozenset[torch.dtype]:
    """The types in which this build, on this processor, has the operators."""
    names = (
        (torch.ops.mkldnn, "_convolution_pointwise"),
        (torch.ops.mkldnn, "_convolution_pointwise_"),
        (torch._C._nn, "mkldnn_reorder_conv2d_weight"),
    )
    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not built or not all(hasattr(where, name) for where, name in names):
        return frozenset()
    half = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return frozenset({torch.float32} | ({torch.bfloat16} if half is not None and half() else set()))


class FusedConv(nn.Conv2d):
    """A convolution and an activation, with the parameters of `nn.Conv2d`.

    Args:
        inputs: channels that come.
        outputs: channels that go.
        kernel: side of the kernel.
        stride: as in `nn.Conv2d`, like the rest.
        padding: rows and columns of zeros at each edge.
        groups: of channels that don't see one another.
        activation: what follows.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activation: Activation = "none",
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)
        self.activation: Activation = activation
        self._geometry = ([padding, padding], [stride, stride], [1, 1], groups)
        self._packed = Derived[Tensor]()

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """Convolves maps.

        Args:
            x: (B, inputs, H, W).
            onto: (1 or B, outputs, H', W') that the result is added to, where that can be in its place:
                nobody else may need it. Only where no activation follows.

        Returns:
            (B, outputs, H', W').
        """
        weight = self.weight
        if torch.is_grad_enabled() or not x.is_cpu or torch.is_autocast_enabled("cpu"):
            return self._plain(x, onto)
        if x.dtype != weight.dtype or x.dtype not in _TYPES:
            return self._plain(x, onto)
        # oneDNN lays weights out for a number of threads; with another it takes many times as long.
        packed = self._packed.get((weight,), torch.get_num_threads(), lambda: self._laid_out([*x.shape]))
        given = x, packed, self.bias, *self._geometry
        out: Tensor
        if onto is None:
            out = torch.ops.mkldnn._convolution_pointwise(*given, *_FUSED[self.activation])
        elif len(onto) == len(x):
            out = torch.ops.mkldnn._convolution_pointwise_.binary(onto, *given, *_ADDED)
        else:
            out = self(x).add_(onto)
        return out

    def kernel(self, weight: Tensor) -> Tensor:
        """The weight (outputs, inputs / groups, K, K) that is convolved with."""
        return weight

    def _plain(self, x: Tensor, onto: Tensor | None) -> Tensor:
        out: Tensor = self._conv_forward(x, self.kernel(self.weight), self.bias)
        if onto is not None:
            return onto + out
        if self.activation == "relu6":
            return F.relu6(out, inplace=True)  # nobody else has it
        return F.gelu(out) if self.activation == "gelu" else out

    def _laid_out(self, shape: list[int]) -> Tensor:
        """The weight packed, for inputs of this shape first of all; others are computed with it as well."""
        pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        packed: Tensor = pack(self.kernel(self.weight.detach()).to_mkldnn(), *self._geometry, shape)
        return packed


_TYPES = _types()
