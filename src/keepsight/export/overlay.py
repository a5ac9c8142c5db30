"""Draws results on their frame: translucent masks, outlined boxes and labels."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from keepsight.export.writer import Tracks
from keepsight.types import FrameResult, ObjectResult

__all__ = ["Painter", "color", "draw"]

ImageArray = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
Rect = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels, right and bottom exclusive

_MASK_OPACITY = 0.45
_PALETTE: tuple[Color, ...] = (
    (38, 150, 255),  # azure
    (255, 140, 26),  # orange
    (60, 210, 96),  # green
    (250, 70, 175),  # pink
    (255, 215, 30),  # yellow
    (158, 104, 255),  # violet
    (20, 215, 220),  # cyan
    (240, 66, 58),  # red
    (176, 230, 40),  # lime
    (255, 160, 140),  # salmon
    (78, 98, 232),  # indigo
    (120, 242, 190),  # mint
)
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
_GOLDEN = 0.618033988749895


def color(object_id: int) -> Color:
    """The RGB colour of an object, 0..255 each: always the same for an id, unlike its neighbours'."""
    position = object_id - 1
    if 0 <= position < len(_PALETTE):
        return _PALETTE[position]
    saturation = (0.85, 0.6, 0.95)[position % 3]
    red, green, blue = colorsys.hsv_to_rgb(position * _GOLDEN % 1, saturation, (1.0, 0.95, 0.8)[position % 3])
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(
    result: FrameResult, names: Mapping[int, str] | None = None, colors: Mapping[int, Color] | None = None
) -> ImageArray:
    """Draws every visible object on a copy of its frame.

    Args:
        result: the frame and its objects.
        names: display names by object id; "object_<id>" where missing.
        colors: RGB, 0..255 each, by object id; `color` of the id where missing.

    Returns:
        (H, W, 3) uint8 RGB. Labels stay inside the frame as far as they fit, and off each other where
        there is room.
    """
    canvas: ImageArray = np.array(result.image, dtype=np.uint8, order="C")
    tracks, taken = Tracks(names), list[Rect]()
    shown = [(i, item, box) for i, item in result.items() if item.visible and (box := _rect(item))]
    paints = {i: color(i) for i, _, _ in shown} | dict(colors or {})
    for object_id, item, box in shown:
        _tint(canvas, item, box, paints[object_id])
    for object_id, _, (x1, y1, x2, y2) in shown:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), paints[object_id], _line_width(canvas))
    for object_id, item, box in shown:
        tag = _tag(_caption(tracks.name(object_id), item.score), paints[object_id], _text_height(canvas))
        taken.append(_place(canvas, tag, box, taken))
    return canvas


class Painter:
    """Draws a result once for all writers that ask for it in turn.

    Args:
        names: display names by object id.
        colors: RGB, 0..255 each, by object id.
    """

    def __init__(
        self, names: Mapping[int, str] | None = None, colors: Mapping[int, Color] | None = None
    ) -> None:
        self._names, self._colors = names, colors
        self._last: tuple[FrameResult, ImageArray] | None = None

    def __call__(self, result: FrameResult) -> ImageArray:
        """What `draw` returns; callers share the array and must not change it."""
        if self._last is None or self._last[0] is not result:
            self._last = result, draw(result, self._names, self._colors)
        return self._last[1]


def _rect(item: ObjectResult) -> Rect | None:
    if item.box is None:
        return None
    x1, y1, x2, y2 = (int(edge) for edge in item.box)
    return x1, y1, x2, y2


def _line_width(canvas: ImageArray) -> int:
    return int(max(1, round(min(canvas.shape[0], canvas.shape[1]) / 360)))


def _text_height(canvas: ImageArray) -> int:
    return int(np.clip(min(canvas.shape[:2]) / 32, 11, 48))


def _tint(canvas: ImageArray, item: ObjectResult, box: Rect, paint: Color) -> None:
    x1, y1, x2, y2 = box
    mask, region = item.mask[y1:y2, x1:x2].astype(np.uint8), canvas[y1:y2, x1:x2]
    shades = np.arange(256)[:, None] * (1 - _MASK_OPACITY) + np.array(paint) * _MASK_OPACITY
    cv2.copyTo(cv2.LUT(region, shades.astype(np.uint8)[None]), mask, region)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, contours, -1, paint, _line_width(canvas), cv2.LINE_AA, offset=(x1, y1))


@lru_cache(maxsize=256)
def _tag(text: str, paint: Color, height: int) -> ImageArray:
    """A filled tag with the text in black or white, whichever reads better: (h, w, 3) uint8."""
    font = _font(height, text.isascii())
    margin, baseline, rows = max(3, height // 2), round(height * 1.1), round(height * 1.5)
    ink = Image.new("L", (round(font.getlength(text)) + 2 * margin, rows))
    bright = float(np.dot(paint, (0.299, 0.587, 0.114))) > 130
    ImageDraw.Draw(ink).text((margin, baseline), text, fill=255, font=font, anchor="ls")
    coverage = np.asarray(ink, dtype=np.float32)[:, :, None] / 255
    return (np.array(paint) * (1 - coverage) + (0 if bright else 255) * coverage).astype(np.uint8)


@lru_cache(maxsize=32)
def _font(height: int, plain: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    # Pillow's own font has little beyond English, so other names borrow a font of the system.
    for file in () if plain else _WIDE_FONTS:
        with suppress(OSError):
            return ImageFont.truetype(file, height)
    return ImageFont.load_default(height)


def _caption(name: str, score: float) -> str:
    words = " ".join(name.split())
    return f"{words if len(words) <= 40 else words[:39] + '…'}  {score:.2f}"


def _place(canvas: ImageArray, tag: ImageArray, box: Rect, taken: list[Rect]) -> Rect:
    """Puts the tag above the box, else inside, below or beside it, clear of the tags already there."""
    height, width = canvas.shape[:2]
    x1, y1, x2, y2 = box
    tag = tag[:height, :width]
    rows, columns = tag.shape[:2]
    spots = [(x1, y1 - rows), (x1, y1), (x1, y2), (x1, y2 - rows), (x2, y1), (x1 - columns, y1)]
    inside = [(x, y) for x, y in spots if 0 <= y <= height - rows] or [(x1, y1)]
    clamped = [(int(np.clip(x, 0, width - columns)), int(np.clip(y, 0, height - rows))) for x, y in inside]
    rects = [(x, y, x + columns, y + rows) for x, y in clamped]
    chosen = next((rect for rect in rects if not any(_overlap(rect, other) for other in taken)), rects[0])
    canvas[chosen[1] : chosen[3], chosen[0] : chosen[2]] = tag
    return chosen


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
