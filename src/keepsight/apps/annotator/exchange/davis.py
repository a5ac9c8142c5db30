"""DAVIS palette masks in a zip, read."""

import io
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming, number_in
from keepsight.errors import AnnotationError
from keepsight.types import ImageArray
from keepsight.video.images import natural_key

__all__ = ["read"]

MOST_FILE_BYTES = 64 * 2**20
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises
_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, OSError, EOFError)


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads a zip of PNGs, one per frame: pixel value 0 is background, 255 nobody's, others are objects.

    Files are frames by the numbers that are their names, else in their order.

    Raises:
        AnnotationError: it is no such zip, or a mask is not of the video's size.
    """
    objects: dict[int, Incoming] = {}
    try:
        with zipfile.ZipFile(path) as packed:
            files = [f for f in packed.infolist() if PurePosixPath(f.filename).suffix.lower() == ".png"]
            files.sort(key=lambda file: natural_key(file.filename))
            if not files:
                raise AnnotationError("Expected PNG masks in the zip, but it has none. Pack the mask folder.")
            for place, file in enumerate(files):
                if file.file_size > MOST_FILE_BYTES:
                    raise AnnotationError(f"Expected masks of at most 64 MiB, but {file.filename} is larger.")
                frame = number_in(file.filename, place)
                if frame < clip.frames:
                    _add(objects, frame, _labels(packed.read(file), file.filename, clip))
    except _BROKEN as error:
        raise AnnotationError(f"Expected a zip of PNG masks, but it cannot be read: {error}.") from error
    return [objects[number] for number in sorted(objects)]


def _add(objects: dict[int, Incoming], frame: int, labels: ImageArray) -> None:
    for number in np.unique(labels).tolist():
        if number not in (0, 255):
            known = objects.setdefault(number, Incoming(f"object {number}", "mask"))
            known.add_mask(frame, labels == number)


def _labels(data: bytes, name: str, clip: Clip) -> ImageArray:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != (clip.info.width, clip.info.height):
                raise AnnotationError(
                    f"Expected masks of {clip.info.width} x {clip.info.height} pixels, as the video, but "
                    f"{name} has {image.size[0]} x {image.size[1]}."
                )
            if image.mode not in ("L", "P", "1"):
                raise AnnotationError(
                    f"Expected palette or grey PNGs, whose values are object numbers, but {name} has "
                    f"colours ({image.mode})."
                )
            return np.asarray(image, dtype=np.uint8)
    except _UNREADABLE as error:
        raise AnnotationError(f"Expected a PNG mask, but {name} cannot be read: {error}.") from error
