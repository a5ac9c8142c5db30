"""Checks that all shapes share: the frame's size, and where in it a mask lies."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keepsight.errors import UsageError
from keepsight.types import BoolArray

__all__ = ["Extent", "check_size", "extent_of"]


class Extent(NamedTuple):
    """The smallest upright box around a mask's pixels, in whole pixels, right and bottom edge exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def corner(self) -> npt.NDArray[np.float64]:
        """(2,) x, y of the top left corner."""
        return np.array([self.left, self.top], dtype=np.float64)

    def cut(self, mask: BoolArray) -> BoolArray:
        """The mask within the box, contiguous."""
        return np.ascontiguousarray(mask[self.top : self.bottom, self.left : self.right])


def extent_of(mask: BoolArray) -> Extent | None:
    """The box around a mask's pixels; None if it has none.

    Raises:
        UsageError: the mask is not an (H, W) bool array.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_:
        got = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise UsageError(f"Expected a mask as an (H, W) bool array, but got {got}. Pass mask > 0.")
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return None
    return Extent(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def check_size(height: int, width: int) -> None:
    """Refuses a frame that has no pixels.

    Raises:
        UsageError: a side is not a whole number from 1 on.
    """
    if not all(isinstance(side, int | np.integer) and side >= 1 for side in (height, width)):
        raise UsageError(
            f"Expected the frame's height and width as whole numbers from 1 on, but got {height!r} and "
            f"{width!r}."
        )
