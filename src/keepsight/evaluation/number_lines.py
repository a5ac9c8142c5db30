"""Text files of numbers, as box benchmarks keep their ground truth in."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keepsight.errors import AnnotationError
from keepsight.types import BoolArray

__all__ = ["read_flags", "read_rows"]

_BETWEEN = re.compile(r"[,;\s]+")


def read_rows(path: Path, count: int) -> npt.NDArray[np.float64]:
    """Reads lines of numbers that are separated by commas, tabs or spaces.

    Args:
        path: the file; blank lines at its end are ignored, "NaN" is a number.
        count: how many numbers a line has.

    Returns:
        (lines, count).

    Raises:
        AnnotationError: it cannot be read, or a line is no row of so many numbers.
    """
    lines = _text(path).rstrip().splitlines()
    rows = [_numbers(path, number, line, count) for number, line in enumerate(lines, 1)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), count)


def read_flags(path: Path) -> BoolArray:
    """Reads zeros and ones, on one line (LaSOT) or one to a line (GOT-10k).

    Args:
        path: the file.

    Returns:
        (N,) bool.

    Raises:
        AnnotationError: it cannot be read, or holds anything else.
    """
    flags: list[bool] = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        for word in _words(line):
            if word not in ("0", "1"):
                raise AnnotationError(
                    f"'{path}', line {number}: expected flags 0 or 1, but got {word!r}. Correct the line, or "
                    f"download the file again."
                )
            flags.append(word == "1")
    return np.array(flags, dtype=np.bool_)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(
            f"Expected a text file of numbers, but '{path}' cannot be read: {error}. Replace the file."
        ) from error


def _words(line: str) -> list[str]:
    return [word for word in _BETWEEN.split(line) if word]


def _numbers(path: Path, number: int, line: str, count: int) -> list[float]:
    try:
        row = [float(word) for word in _words(line)]
    except ValueError:
        row = []
    if len(row) != count or any(np.isinf(value) for value in row):
        raise AnnotationError(
            f"'{path}', line {number}: expected {count} numbers separated by commas, tabs or spaces, but got "
            f"{line.strip()[:80]!r}. Correct the line, or download the file again."
        )
    return row
