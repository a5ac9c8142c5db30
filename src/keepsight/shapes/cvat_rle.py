"""CVAT's run-length code of a mask: `points` of a shape of type "mask".

Runs of pixels, row by row within the mask's box, beginning with background, then the box's left, top, right
and bottom pixel, the last two inclusive. It is not COCO's code, which goes column by column through the whole
frame. `cvat_sdk.masks` does the same; written here because the function that CVAT calls runs where the SDK
(Python 3.11 on) need not be, and because a code is refused here before memory is taken for it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keepsight.errors import PromptError
from keepsight.shapes.extent import check_size, extent_of
from keepsight.types import BoolArray

__all__ = ["decode", "encode"]

Numbers = Sequence[float] | npt.NDArray[np.integer] | npt.NDArray[np.floating]


def encode(mask: BoolArray) -> list[int]:
    """A mask's code, its box as small as can be.

    Args:
        mask: (H, W) bool with at least one pixel.

    Returns:
        The runs, then left, top, right, bottom: six numbers at least.

    Raises:
        PromptError: the mask is empty. CVAT has no mask for that: an object that is not there is null.
        UsageError: not an (H, W) bool array.
    """
    extent = extent_of(mask)
    if extent is None:
        raise PromptError("Expected a mask with at least one pixel, but got an empty one. Send null instead.")
    flat = extent.cut(mask).ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first: list[int] = [0] if flat[0] else []
    runs: list[int] = np.diff(changes, prepend=0, append=len(flat)).tolist()
    return first + runs + [extent.left, extent.top, extent.right - 1, extent.bottom - 1]


def decode(points: Numbers, height: int, width: int) -> BoolArray:
    """The mask of a code.

    Args:
        points: the code; floats if they are whole.
        height: of the frame in pixels.
        width: of the frame in pixels.

    Returns:
        (height, width) bool; empty if the code has no pixel.

    Raises:
        PromptError: fewer than five numbers, numbers that are not whole, a box that is inverted or leaves
            the frame, a run below 0, or runs that do not fill the box.
        UsageError: a frame without pixels.
    """
    check_size(height, width)
    numbers = _whole_numbers(points)
    *_, left, top, right, bottom = numbers.tolist()
    if not (0 <= left <= right < width and 0 <= top <= bottom < height):
        raise PromptError(
            f"Expected a mask's last four numbers to be its left, top, right and bottom pixel within the "
            f"frame, {width} x {height} pixels, but got {left}, {top}, {right}, {bottom}."
        )
    runs, rows, columns = numbers[:-4], bottom + 1 - top, right + 1 - left
    area = rows * columns
    if runs.min() < 0:
        raise PromptError(f"Expected a mask's runs to be 0 or more, but got {runs.min()}.")
    # A run longer than the box would let the sum overflow.
    if runs.max() > area or runs.sum() != area:
        raise PromptError(
            f"Expected a mask's runs to fill its box of {columns} x {rows} pixels, {area} in all, but they "
            f"hold {sum(runs.tolist())}."
        )
    mask = np.zeros((height, width), dtype=np.bool_)
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    mask[top : bottom + 1, left : right + 1] = pixels.reshape(rows, columns)
    return mask


def _whole_numbers(points: Numbers) -> npt.NDArray[np.int64]:
    try:
        numbers = np.asarray(points)
    except ValueError:
        numbers = np.empty(0, dtype=np.object_)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        raise PromptError("Expected a mask as a list of numbers (runs, left, top, right, bottom).")
    if len(numbers) < 5:
        raise PromptError(
            f"Expected a mask as at least five numbers (runs, left, top, right, bottom), but got "
            f"{len(numbers)}."
        )
    # Doubles hold every whole number up to here, and no frame has as many pixels.
    odd = ~(abs(numbers.astype(np.float64)) < 2**53) | (numbers != np.trunc(numbers))
    if odd.any():
        raise PromptError(f"Expected a mask's numbers to be whole, but got {numbers[odd][0].item()!r}.")
    return numbers.astype(np.int64)
