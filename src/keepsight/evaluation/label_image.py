"""Label images: PNGs whose pixel values say which object is where."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from keepsight.errors import AnnotationError, KeepsightError
from keepsight.types import BoolArray

__all__ = ["LabelImage", "image_size"]

VOID = 255  # in a label image of several objects: pixels that belong to nobody for certain
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises


@dataclass(frozen=True, eq=False)
class LabelImage:
    """One label image.

    Attributes:
        values: (H, W) pixel values.
        binary: whether it is black and white (DAVIS 2016: 0 and 255, one object) rather than a palette of
            object numbers (DAVIS 2017).
    """

    values: npt.NDArray[np.uint8]
    binary: bool

    @classmethod
    def read(cls, path: Path, binary: bool | None = None) -> "LabelImage":
        """Reads a file.

        Args:
            path: PNG of palette numbers or grey values.
            binary: which of the two kinds, as told by the sequence's first image; by the values if None.

        Raises:
            AnnotationError: it cannot be read, or has colours in place of numbers.
        """
        try:
            with Image.open(path) as image:
                plain = (
                    image if image.mode in ("L", "P") else image.convert("L" if image.mode == "1" else "RGB")
                )
                values = np.asarray(plain)
        except _UNREADABLE as error:
            raise _unreadable(path, error, AnnotationError) from error
        if values.ndim == 3:
            if (values != values[..., :1]).any():
                raise AnnotationError(
                    f"Expected '{path}' to hold object numbers (palette or grey values), but it holds "
                    f"colours. Take the benchmark's original PNG files."
                )
            values = values[..., 0]
        if binary is None:
            binary = set(np.unique(values)) <= {0, VOID}
        return cls(values, binary)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.values.shape[1], self.values.shape[0]

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The objects it shows; 1 for the one of a black and white image."""
        if self.binary:
            return (1,) if self.mask(1).any() else ()
        return tuple(int(value) for value in np.unique(self.values) if value not in (0, VOID))

    def mask(self, object_id: int) -> BoolArray:
        """(H, W) bool, one object's pixels."""
        mask: BoolArray = self.values > VOID // 2 if self.binary else self.values == object_id
        return mask


def image_size(path: Path, error_kind: Callable[[str], KeepsightError]) -> tuple[int, int]:
    """Width and height in pixels, from the file's header.

    Args:
        path: any image file.
        error_kind: the error to raise where it cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            return width, height
    except _UNREADABLE as error:
        raise _unreadable(path, error, error_kind) from error


def _unreadable(
    path: Path, error: BaseException, error_kind: Callable[[str], KeepsightError]
) -> KeepsightError:
    return error_kind(f"Expected an image, but '{path}' cannot be read: {error}. Replace the file.")
