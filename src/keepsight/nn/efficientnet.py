"""A light convolutional image encoder: EfficientNet-Lite0 with a feature pyramid, for the `pocket` model.

The layout is that of EfficientNet-Lite0 (Tan and Le, "EfficientNet", 2019, and the Lite variant's published
configuration: ReLU6, no squeeze-and-excitation, TensorFlow's "same" padding). Batch normalisation is folded
into the convolutions (`fold_batch_norms`), so the encoder has no running statistics and no training mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from keepsight.nn.layers.convolution import Activation, FusedConv

__all__ = [
    "EfficientNetConfig",
    "EfficientNetEncoder",
    "EfficientNetLevels",
    "EfficientNetLite",
    "fold_batch_norms",
]

BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class EfficientNetConfig:
    """What an `EfficientNetEncoder` is built from."""

    mix_kernel: int = 3  # of the convolution that blends strides 16 and 32 in the neck


class Stage(NamedTuple):
    """Blocks of one width: the first may halve the resolution."""

    blocks: int
    width: int
    kernel: int
    stride: int
    expansion: int


STEM_WIDTH = 32
STAGES = (
    Stage(1, 16, 3, 1, 1),
    Stage(2, 24, 3, 2, 6),
    Stage(2, 40, 5, 2, 6),
    Stage(3, 80, 3, 2, 6),
    Stage(3, 112, 5, 1, 6),
    Stage(4, 192, 5, 2, 6),
    Stage(1, 320, 3, 1, 6),
)
LEVEL_STAGES = (1, 2, 4, 6)  # the last stages at strides 4, 8, 16 and 32
LEVEL_WIDTHS = tuple(STAGES[i].width for i in LEVEL_STAGES)


class EfficientNetLevels(NamedTuple):
    """Backbone features before the neck, of an image of S x S."""

    stride4: Tensor  # (B, 24, S / 4, S / 4)
    stride8: Tensor  # (B, 40, S / 8, S / 8)
    stride16: Tensor  # (B, 112, S / 16, S / 16)
    stride32: Tensor  # (B, 320, S / 32, S / 32)


class SameConv(FusedConv):
    """Convolution padded as TensorFlow pads: at stride 2, a row more below and right than above and left.

    That is a convolution padded alike on all sides with a kernel that has a row and a column of zeros more in
    front. Padding the input itself would copy more, and takes longer than to convolve it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: Activation = "none",
    ) -> None:
        padding = (kernel - 1) // 2 if stride == 1 else kernel // 2
        super().__init__(
            inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, activation=activation
        )

    def kernel(self, weight: Tensor) -> Tensor:
        """With a row and a column more at stride 2, so that even sides are halved."""
        return weight if self.stride == (1, 1) else F.pad(weight, (1, 0, 1, 0))


class InvertedResidual(nn.Module):
    """Expand, filter each channel in space, project; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1, activation="relu6") if expansion > 1 else None
        self.filter = SameConv(hidden, hidden, kernel, stride, groups=hidden, activation="relu6")
        self.project = SameConv(hidden, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) to (B, outputs, H / stride, W / stride); the input may be overwritten."""
        hidden = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.filter(hidden), x if self.is_residual else None)
        return out


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, STEM_WIDTH, 3, 2, activation="relu6")
        self.stages = nn.ModuleList()
        inputs = STEM_WIDTH
        for stage in STAGES:
            blocks = nn.Sequential()
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                blocks.append(InvertedResidual(inputs, stage.width, stage.kernel, stride, stage.expansion))
                inputs = stage.width
            self.stages.append(blocks)
        self.to(memory_format=torch.channels_last)  # twice as fast as contiguous convolutions on CPUs

    def forward(self, pixels: Tensor) -> EfficientNetLevels:
        """Maps normalised pixels (B, 3, S, S), S divisible by 32, to features at four strides."""
        x = self.stem(pixels.contiguous(memory_format=torch.channels_last))
        levels = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in LEVEL_STAGES:
                levels.append(x)
        return EfficientNetLevels(*levels)


class EfficientNetEncoder(nn.Module):
    """EfficientNet-Lite0 and a pyramid that carries what the coarse levels know down to the fine ones.

    Args:
        config: its numbers.
        width: C, the width of the three levels that leave the encoder.
    """

    def __init__(self, config: EfficientNetConfig, width: int) -> None:
        super().__init__()
        self.backbone = EfficientNetLite()
        self.laterals = nn.ModuleList(FusedConv(inputs, width, 1) for inputs in LEVEL_WIDTHS)
        self.mix = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.GELU(),
            FusedConv(width, width, config.mix_kernel, padding=config.mix_kernel // 2),
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encodes images.

        Args:
            pixels: (B, 3, S, S) normalised, S divisible by 32.

        Returns:
            Features of width C at strides 4, 8 and 16: (B, C, S / 4, S / 4) and so on.
        """
        levels = self.backbone(pixels)
        coarse = self._coarse(levels)
        middle = self.laterals[1](levels.stride8) + _doubled(coarse)
        fine = self.laterals[0](levels.stride4) + _doubled(middle)
        return fine, middle, coarse

    def project(self, pixels: Tensor, fine: nn.Conv2d, middle: nn.Conv2d) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` returns with its finer two levels projected to fewer channels.

        Between backbone and projections all is linear, so weights are multiplied first: maps of the full
        width at strides 4 and 8 would take longer than all else here.

        Args:
            pixels: as in `forward`.
            fine: 1x1 convolution from C channels to those wanted at stride 4.
            middle: likewise at stride 8.
        """
        levels = self.backbone(pixels)
        coarse = self._coarse(levels)
        return (
            self._projected(levels, coarse, fine, 0),
            self._projected(levels, coarse, middle, 1),
            coarse,
        )

    def _coarse(self, levels: EfficientNetLevels) -> Tensor:
        coarse: Tensor = self.laterals[2](levels.stride16) + _doubled(self.laterals[3](levels.stride32))
        out: Tensor = coarse + self.mix(coarse)
        return out

    def _projected(self, levels: EfficientNetLevels, coarse: Tensor, layer: nn.Conv2d, level: int) -> Tensor:
        """One level of the pyramid, that of stride 4 or 8 for 0 or 1, as a projection leaves it."""
        weight, out = layer.weight.flatten(1), F.conv2d(coarse, layer.weight, layer.bias)
        for i in range(1, level - 1, -1):
            own, bias = self.laterals[i].get_parameter("weight"), self.laterals[i].get_parameter("bias")
            product = (weight @ own.flatten(1))[..., None, None]
            out = _doubled(out) + F.conv2d(levels[i], product, weight @ bias)
        return out


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def fold_batch_norms(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """Folds published EfficientNet-Lite0 weights into the state of an `EfficientNetLite`.

    Args:
        tensors: the checkpoint's tensors in order: for every convolution its weight and then its batch
            normalisation's weight, bias, running mean, running variance and step counter; what follows the
            last stage (head and classifier) is ignored.

    Returns:
        A state dictionary for `EfficientNetLite.load_state_dict`.

    Raises:
        ValueError: the tensors are too few or of other shapes than EfficientNet-Lite0's.
    """
    remaining = iter(tensors)
    state = {}
    for name, module in EfficientNetLite().named_modules():
        if not isinstance(module, SameConv):
            continue
        group = [tensor for _, tensor in zip(range(6), remaining, strict=False)]
        if len(group) < 6 or group[0].shape != module.weight.shape:
            found = tuple(group[0].shape) if group else "nothing"
            raise ValueError(
                f"Convolution {name} of EfficientNet-Lite0 expects a weight of {tuple(module.weight.shape)}, "
                f"found {found}: pass the tensors of efficientnet-lite0 in their stored order."
            )
        weight, scale, bias, mean, variance, _ = (tensor.double() for tensor in group)
        factor = scale / torch.sqrt(variance + BATCH_NORM_EPSILON)
        state[f"{name}.weight"] = (weight * factor[:, None, None, None]).float()
        state[f"{name}.bias"] = (bias - mean * factor).float()
    return state
