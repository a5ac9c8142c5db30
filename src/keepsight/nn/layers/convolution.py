"""Convolutions with what follows them, computed by oneDNN in one go where that is possible.

PyTorch lays the weights of a convolution out for the processor anew in every call, and an activation reads
and writes the whole map once more. On CPUs, where no gradient is asked for, weights are laid out once here
and the activation is computed along. The operators are those that PyTorch's own compiler uses; where a build
lacks them, convolutions are computed as ever.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Activation", "FusedConv"]

Activation = Literal["none", "relu6", "gelu"]

# By activation: the operator's name for it, its numbers and its algorithm.
_FUSED: dict[Activation, tuple[str, list[float], str]] = {
    "none": ("none", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
    "gelu": ("gelu", [], "none"),
}


class _Packed(NamedTuple):
    """A weight as oneDNN wants it, and what it was made of."""

    plain: Tensor  # held, so that no other weight can come to lie at its place
    version: int
    weight: Tensor

    def is_of(self, weight: Tensor, version: int) -> bool:
        """Whether it was made of this weight as it is now."""
        same = self.plain.data_ptr() == weight.data_ptr() and self.plain.dtype == weight.dtype
        return same and self.version == version


def _types() -> frozenset[torch.dtype]:
    """The types in which this build, on this processor, has the operators."""
    names = (torch.ops.mkldnn, "_convolution_pointwise"), (torch._C._nn, "mkldnn_reorder_conv2d_weight")
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
        self._packed: _Packed | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) to (B, outputs, H', W')."""
        if torch.is_grad_enabled() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return self._plain(x)
        if x.dtype != self.weight.dtype or x.dtype not in _TYPES:
            return self._plain(x)
        name, numbers, algorithm = _FUSED[self.activation]
        geometry = (list(self.padding), list(self.stride), list(self.dilation), self.groups)
        weight = self._laid_out(x, geometry)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *geometry, name, numbers, algorithm
        )
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Without the packed weight, which can be neither copied nor written."""
        return {**self.__dict__, "_packed": None}

    def _plain(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        if self.activation == "relu6":
            return F.relu6(out, inplace=True)  # nobody else has it
        return F.gelu(out) if self.activation == "gelu" else out

    def _laid_out(self, x: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        """The packed weight; packed anew once the weight has become another."""
        plain = self.weight.detach()
        version = 0 if self.weight.is_inference() else self.weight._version
        if self._packed is None or not self._packed.is_of(plain, version):
            pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            weight = pack(plain.to_mkldnn(), *geometry, list(x.shape))
            self._packed = _Packed(plain, version, weight)
        return self._packed.weight


_TYPES = _types()
