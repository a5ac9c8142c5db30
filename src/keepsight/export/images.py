"""One image per frame: annotated frames for people, palette masks for programs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keepsight.errors import OutputError
from keepsight.export.files import new_file, output_errors
from keepsight.export.writer import ResultWriter, frame_stem
from keepsight.types import FrameResult

__all__ = ["FrameWriter", "MaskWriter", "check_mask_ids", "davis_palette", "encode_jpeg"]

ImageArray = npt.NDArray[np.uint8]


def encode_jpeg(image: ImageArray, quality: int = 92) -> bytes:
    """Encodes an (H, W, 3) RGB uint8 image; quality 0..100."""
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return code.tobytes()


class FrameWriter(ResultWriter):
    """Annotated frames, `00000.jpg`, `00001.jpg`, ...: masks, boxes and labels drawn on the picture.

    Each file appears whole or not at all.

    Args:
        folder: created if missing.
        names: display names by object id.
        draw: turns a result into the (H, W, 3) RGB picture to save; `overlay.draw` when omitted.

    Raises:
        OutputError: the folder cannot be created.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        names: Mapping[int, str] | None = None,
        *,
        draw: Callable[[FrameResult], ImageArray] | None = None,
    ) -> None:
        from keepsight.export.overlay import Painter

        self._folder = _created(folder)
        self._draw = draw or Painter(names)

    def write(self, result: FrameResult) -> None:
        """Writes the frame's picture.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._folder / f"{frame_stem(result.index)}.jpg"
        _save(path, encode_jpeg(self._draw(result)))

    def close(self) -> None:
        """Nothing is left to do: every file is complete."""


class MaskWriter(ResultWriter):
    """DAVIS palette masks, `00000.png`, ...: pixel value = object id, 0 the background.

    A pixel has one value, so where objects overlap one must win: the one with the highest logit, if
    all of the frame's objects carry logits; else the one with the lowest id, as SAM 2's own tool for
    DAVIS does, so that the winner does not change from frame to frame.

    Args:
        folder: created if missing.

    Raises:
        OutputError: the folder cannot be created.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = _created(folder)

    def write(self, result: FrameResult) -> None:
        """Writes the frame's mask image.

        Raises:
            OutputError: it cannot be written, or an object id does not fit a pixel (1..255).
        """
        from PIL import Image

        check_mask_ids(result)
        image = Image.fromarray(_label_map(result))
        image.putpalette(davis_palette().tobytes())
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        _save(self._folder / f"{frame_stem(result.index)}.png", buffer.getvalue())

    def close(self) -> None:
        """Nothing is left to do: every file is complete."""


def check_mask_ids(object_ids: Iterable[int]) -> None:
    """Refuses object ids that a palette mask cannot hold.

    Raises:
        OutputError: an id is not within 1..255.
    """
    unfit = [object_id for object_id in object_ids if not 1 <= object_id <= 255]
    if unfit:
        raise OutputError(
            f"Palette masks store object ids as pixel values, so ids must be 1..255, but got {unfit}. "
            f"Give the objects smaller ids, or write masks as COCO JSON instead."
        )


def davis_palette() -> npt.NDArray[np.uint8]:
    """The (256, 3) RGB palette of PASCAL VOC and DAVIS.

    Bits 0, 3, 6 of an index become the top bits of red, bits 1, 4, 7 those of green, 2, 5 those of blue.
    """
    index = np.arange(256, dtype=np.int64)
    palette = np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        palette[:, bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return palette.astype(np.uint8)


def _label_map(result: FrameResult) -> npt.NDArray[np.uint8]:
    labels = np.zeros(result.image.shape[:2], dtype=np.uint8)
    logits = {object_id: item.logits for object_id, item in result.items() if item.logits is not None}
    if len(logits) < len(result):
        for object_id in sorted(result, reverse=True):
            labels[result[object_id].mask] = object_id
        return labels
    best = np.full(labels.shape, -np.inf, dtype=np.float32)
    for object_id in sorted(logits):
        wins = result[object_id].mask & (logits[object_id] > best)
        labels[wins], best[wins] = object_id, logits[object_id][wins]
    return labels


def _created(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    with output_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def _save(path: Path, data: bytes) -> None:
    with output_errors(path, "The frames before are complete."), new_file(path) as file:
        file.write(data)
