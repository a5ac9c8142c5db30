"""Image files as CVAT sends them, in whatever form their owners made them."""

import io
import struct
import zlib
from contextlib import closing

from PIL import Image, ImageOps

from keepsight.apps.cvat.wire import TooLargeError
from keepsight.errors import SourceError
from keepsight.types import ImageArray
from keepsight.video import as_rgb

__all__ = ["read_picture", "upright"]

LABEL = "the request's image"
# What Pillow raises on damaged files, by format; RuntimeError is AVIF's and, as NotImplementedError, DDS's.
_UNREADABLE = (
    OSError,
    SyntaxError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def read_picture(data: bytes, most: int) -> ImageArray:
    """An image file as (H, W, 3) uint8 RGB, upright.

    Args:
        data: JPEG, PNG, WebP, TIFF, BMP; grey, palette, transparent and 16-bit ones too.
        most: the largest width times height; what is larger is not decoded.

    Raises:
        SourceError: it is no image, or damaged.
        TooLargeError: it has more pixels.
    """
    try:
        with closing(Image.open(io.BytesIO(data))) as image:
            width, height = image.size
            if width * height > most:
                raise TooLargeError(
                    f"Expected an image of at most {most} pixels, but got {width}x{height}, {width * height}."
                )
            return upright(image)
    except TooLargeError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"Expected an image of at most {most} pixels, but got more: {error}") from error
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def upright(image: Image.Image) -> ImageArray:
    """An opened image as (H, W, 3) uint8 RGB, turned as its EXIF data says.

    Raises:
        SourceError: it is damaged, or holds no colours or grey values.
    """
    try:
        return as_rgb(ImageOps.exif_transpose(image), LABEL)
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        raise _unreadable(error) from error


def _unreadable(error: BaseException) -> SourceError:
    return SourceError(f"Expected {LABEL} to be an image file, but it cannot be read: {error}.")
