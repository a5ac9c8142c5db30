"""DAVIS palette masks in a zip, read."""

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming
from keepsight.apps.annotator.exchange.placing import frames_of
from keepsight.errors import AnnotationError
from keepsight.types import ImageArray
from keepsight.video.images import natural_key

__all__ = ["read"]

MOST_FILE_BYTES = 64 * 2**20
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
)


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads a zip of PNGs, one per frame: pixel value 0 is background, 255 nobody's, others are objects.

    Files are frames by their names, see `frames_of`; hidden files are passed over.

    Raises:
        AnnotationError: it is no such zip, or of no certain frames, or a mask is not of the video's size.
    """
    objects: dict[int, Incoming] = {}
    try:
        with zipfile.ZipFile(path) as packed:
            files = [file for file in packed.infolist() if _is_mask(file.filename)]
            files.sort(key=lambda file: natural_key(file.filename))
            if not files:
                raise AnnotationError("Expected PNG masks in the zip, but it has none. Pack the mask folder.")
            frames = frames_of([file.filename for file in files], clip)
            for frame, file in zip(frames, files, strict=True):
                if file.file_size > MOST_FILE_BYTES:
                    raise AnnotationError(f"Expected masks of at most 64 MiB, but {file.filename} is larger.")
                _add(objects, frame, _labels(packed.read(file), file.filename, clip))
    except _BROKEN as error:
        raise AnnotationError(f"Expected a zip of PNG masks, but it cannot be read: {error}.") from error
    return [objects[number] for number in sorted(objects)]


def _is_mask(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() == ".png" and not path.name.startswith(".")


def _add(objects: dict[int, Incoming], frame: int | None, labels: ImageArray) -> None:
    for number in np.unique(labels).tolist():
        if number in (0, 255):
            continue
        known = objects.setdefault(number, Incoming(f"object {number}", "mask"))
        if frame is None:
            known.passed_over += 1
        else:
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
