"""One picture's pixels, as transformers' image processors read, recolour and resize them."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from keepsight.errors import SourceError
from keepsight.video import open_source
from keepsight.video.images import is_image

__all__ = ["NoPictureError", "PictureError", "opened", "picture_list", "planes_of", "resized", "size_of"]

FIRST, LAST = "channels_first", "channels_last"
CHANNELS = (1, 3, 4)
BYTE = 255
# Pillow's numbers, as configurations write them.
MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}
_EXACT = (torch.float32, torch.float64)


class PictureError(SourceError, ValueError, TypeError):
    """What was given is no picture or video; transformers raises a ValueError or a TypeError there."""


class NoPictureError(PictureError, IndexError):
    """A list of pictures is empty."""


def picture_list(pictures: Any, dimensions: int) -> list[Any]:
    """Single pictures, nested lists of them and stacks, as one flat list of pictures.

    Args:
        pictures: PIL images; arrays or tensors of `dimensions` or, stacked, one more; paths of image files.
        dimensions: 3 for pictures, 2 for segmentation maps.

    Raises:
        PictureError: something else, or another number of dimensions.
        NoPictureError: none at all.
    """
    found = list(_flat(pictures, dimensions))
    if not found:
        raise NoPictureError("Expected at least one picture, but got an empty list. Give one.")
    return found


def _flat(pictures: Any, dimensions: int) -> Iterable[Any]:
    if isinstance(pictures, list | tuple):
        return [picture for item in pictures for picture in _flat(item, dimensions)]
    if isinstance(pictures, np.ndarray | Tensor):
        if pictures.ndim == dimensions + 1:
            return list(pictures)
        if pictures.ndim != dimensions:
            raise PictureError(
                f"Expected arrays of {dimensions} dimensions, or stacks of these, but got shape "
                f"{tuple(pictures.shape)}. Give a grey picture as (H, W, 1)."
            )
    return [opened(pictures)]


def opened(picture: Any) -> Any:
    """The picture itself, or, of a path, the upright RGB picture in the file.

    Raises:
        PictureError: it is no picture, or the file cannot be read.
    """
    if isinstance(picture, Image.Image | np.ndarray | Tensor):
        return picture
    if not isinstance(picture, str | os.PathLike):
        raise PictureError(
            f"Expected a PIL image, an array, a tensor or the path of an image file, but got "
            f"{type(picture).__name__}. Convert it, for example with numpy.asarray."
        )
    if not is_image(Path(picture)):
        raise PictureError(
            f"Expected the path of an image file, but got {os.fspath(picture)!r}. Download or decode "
            f"it first."
        )
    try:
        with open_source(picture, prefetch=0) as source:
            return source.read(0).image
    except SourceError as error:
        raise PictureError(str(error)) from error


def size_of(picture: Any, layout: str | None = None) -> tuple[int, int]:
    """(height, width) of a picture that `opened` gave.

    Raises:
        PictureError: no dimension can be that of the channels.
    """
    if isinstance(picture, Image.Image):
        return picture.height, picture.width
    shape = tuple(picture.shape)
    if len(shape) == 2:
        return shape[0], shape[1]
    return (shape[1], shape[2]) if (layout or layout_of(shape)) == FIRST else (shape[0], shape[1])


def layout_of(shape: tuple[int, ...], channels: tuple[int, ...] = CHANNELS) -> str:
    """Which dimension of three is that of the channels; where either may be, the first.

    Raises:
        PictureError: none can be.
    """
    if shape[0] in channels:
        return FIRST
    if shape[-1] in channels:
        return LAST
    raise PictureError(
        f"Expected an array of shape (H, W, C) or (C, H, W) with {', '.join(map(str, channels))} channels, "
        f"but got {shape}. Rearrange it."
    )


def planes_of(picture: Any, *, rgb: bool = True, layout: str | None = None) -> Tensor:
    """A picture's channels, (C, H, W), in the type that they came in.

    Args:
        picture: a PIL image of any mode, or an array or tensor of shape (H, W, C), (C, H, W) or (H, W).
        rgb: repeat grey three times and lay what is transparent on white.
        layout: "channels_first" or "channels_last"; seen from the shape if None.

    Raises:
        PictureError: the shape or the values are no picture's.
    """
    if isinstance(picture, Image.Image):
        picture, layout = np.array(_opaque(picture) if rgb else picture), LAST
    if isinstance(picture, np.ndarray):
        picture = torch.from_numpy(np.require(picture, requirements=["C", "W"]))
    if picture.dim() == 2:
        picture, layout = picture[None], FIRST
    planes: Tensor = picture
    if (layout or layout_of(tuple(planes.shape))) == LAST:
        planes = planes.permute(2, 0, 1)
    if not rgb or len(planes) == 3:
        return planes
    return planes.expand(3, -1, -1) if len(planes) == 1 else _on_white(planes)


def _opaque(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, (BYTE, BYTE, BYTE, BYTE))
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _on_white(planes: Tensor) -> Tensor:
    """RGBA to RGB; bytes are rounded down from 255.999, as torchvision turns fractions into bytes."""
    if planes.dtype != torch.uint8 and not planes.is_floating_point():
        raise PictureError(f"Expected RGBA of type uint8 or float, but got {planes.dtype}. Convert it.")
    fractions = planes.float() * (1.0 / BYTE) if planes.dtype == torch.uint8 else planes.float()
    if fractions.min() < 0 or fractions.max() > 1:
        raise PictureError(
            f"Expected RGBA of type float to have values 0 to 1, but got {fractions.min().item():g} to "
            f"{fractions.max().item():g}. Scale them, or give uint8."
        )
    colours, alpha = fractions[:3], fractions[3:]
    mixed = colours * alpha + (1 - alpha)
    return (mixed * (BYTE + 1 - 1e-3) if planes.dtype == torch.uint8 else mixed).to(planes.dtype)


def resized(planes: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """(C, H, W) brought to (height, width) in its own type, as torchvision does it.

    Bilinear and bicubic resizing are antialiased. On a CPU bytes are weighed as bytes; elsewhere as floats
    that are rounded, which may differ by 1.
    """
    if planes.shape[-2:] == size:
        return planes
    nearest = mode == MODES[0]
    exact = planes.dtype in _EXACT or (
        planes.dtype == torch.uint8 and (nearest or _weighs_bytes(planes.device))
    )
    given = (planes if exact else planes.float())[None]
    smooth: dict[str, Any] = {} if nearest else {"align_corners": False, "antialias": True}
    result = F.interpolate(given, size, mode=mode, **smooth)[0]
    if exact:
        return result
    if planes.dtype == torch.uint8:
        result = result.clamp(0, BYTE)
    return (result if planes.is_floating_point() else result.round()).to(planes.dtype)


def _weighs_bytes(device: torch.device) -> bool:
    # The processors on which torchvision does so; torch has fast code for them.
    fast = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    return device.type == "cpu" and (fast or platform.machine() in ("aarch64", "arm64"))
