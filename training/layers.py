"""Layers of a training clip, pictures with transparency, each on its path, and the clip that they become."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.paths import Floats, Path, source_grid
from training.sources import Cutout, Image, Region

__all__ = ["PASSER", "TARGET", "Clip", "Layer", "paste", "paste_all"]

TARGET = 1  # the group that every clip was made for
PASSER = 0  # the group of what only passes by


@dataclass(frozen=True)
class Clip:
    """Consecutive frames and where its objects are visible in each."""

    frames: Image  # (T, S, S, 3) RGB
    objects: Region  # (T, S, S), `TARGET` where that is visible, larger numbers for others, 0 elsewhere


@dataclass(frozen=True)
class Layer:
    """A picture with transparency on a path; layers of one group are followed together."""

    cutout: Cutout
    path: Path
    group: int


def layer_window(path: Path, t: int, size: int) -> tuple[int, int, int, int]:
    """The part of the frame a layer can reach, possibly empty."""
    reach = 0.75 * path.scale[t] * max(np.sqrt(path.aspect[t]), 1 / np.sqrt(path.aspect[t])) * size
    x, y = path.center[t] * size
    x0, y0 = max(int(x - reach), 0), max(int(y - reach), 0)
    return x0, y0, max(min(int(x + reach) + 1, size), x0), max(min(int(y + reach) + 1, size), y0)


def paste(canvas: Image, layer: Layer, t: int) -> Floats:
    """Draws a layer onto a frame, in place, and returns its (S, S) alpha, 0..1."""
    size = canvas.shape[0]
    alpha = np.zeros((size, size), np.float32)
    window = x0, y0, x1, y1 = layer_window(layer.path, t, size)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return alpha
    u, v = source_grid(layer.path, t, window, size)
    height, width = layer.cutout.alpha.shape
    longest = max(height, width)
    map_x, map_y = u * longest + width / 2 - 0.5, v * longest + height / 2 - 0.5
    # Beyond the outline of an object cut from a photograph there is more of it only if it was filled.
    slid_x, slid_y = layer.path.slide[t] * np.float32(longest if layer.cutout.filled else 0)
    image = cv2.remap(
        layer.cutout.image,
        map_x + slid_x,
        map_y + slid_y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    opacity = cv2.remap(layer.cutout.alpha, map_x, map_y, cv2.INTER_LINEAR, borderValue=(0,))
    opacity = cv2.GaussianBlur(opacity, (3, 3), 0).astype(np.float32) / 255
    view = canvas[y0:y1, x0:x1]
    view[:] = (view + opacity[..., None] * (image.astype(np.float32) - view)).astype(np.uint8)
    alpha[y0:y1, x0:x1] = opacity
    return alpha


def paste_all(clip: Clip, layers: Sequence[Layer]) -> None:
    """Draws layers onto a clip, in place, the lowest first, and says where they are in sight."""
    for t, (frame, objects) in enumerate(zip(clip.frames, clip.objects, strict=True)):
        for layer in layers:
            objects[paste(frame, layer, t) > 0.5] = layer.group
