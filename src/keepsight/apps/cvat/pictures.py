"""Image files as CVAT sends them, in whatever form their owners made them."""

import io
from contextlib import closing

from PIL import Image, ImageOps

from keepsight.apps.cvat.wire import TooLargeError
from keepsight.errors import SourceError
from keepsight.types import ImageArray
from keepsight.video import as_rgb

__all__ = ["read_picture"]


def read_picture(data: bytes, most: int) -> ImageArray:
    """An image file as (H, W, 3) uint8 RGB, upright.

    Args:
        data: JPEG, PNG, WebP, TIFF, BMP; grey, palette, transparent and 16-bit ones too.
        most: the largest width times height; what is larger is not decoded.

    Raises:
        SourceError: it is no image, or damaged.
        TooLargeError: it has more pixels.
    """
    label = "the request's image"
    try:
        with closing(Image.open(io.BytesIO(data))) as image:
            width, height = image.size
            if width * height > most:
                raise TooLargeError(
                    f"Expected an image of at most {most} pixels, but got {width}x{height}, {width * height}."
                )
            return as_rgb(ImageOps.exif_transpose(image), label)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, TooLargeError):
            raise
        raise SourceError(f"Expected {label} to be an image file, but it cannot be read: {error}.") from error
