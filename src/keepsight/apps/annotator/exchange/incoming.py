"""What a file of another program holds, as objects and shapes of a project."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.project import Kind
from keepsight.errors import AnnotationError, KeepsightError
from keepsight.shapes import cvat_rle, figure_to_mask, polygon_to_mask
from keepsight.types import BoolArray

__all__ = ["Figure", "Incoming", "coco_mask", "share", "trusted"]

LONGEST_NAME = 200
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,  # JSON within JSON within JSON
)


@dataclass(frozen=True)
class Figure:
    """A shape of an object on a frame.

    Attributes:
        frame: number from 0.
        points: in pixels of the frame.
        score: predicted IoU, 0..1, or None.
        presence: probability, 0..1, or None.
        outside: whether the object is gone from here on.
        by_hand: whether the file says that a person made it.
    """

    frame: int
    points: tuple[float, ...]
    score: float | None = None
    presence: float | None = None
    outside: bool = False
    by_hand: bool = False


@dataclass
class Incoming:
    """An object of a file.

    Attributes:
        name: as people read it.
        kind: of its shapes.
        figures: its shapes.
        tracked: whether they are the keyframes of a track.
        passed_over: how many shapes have no place in the video: their frame is not there, or none of their
            pixels.
    """

    name: str
    kind: Kind
    figures: list[Figure] = field(default_factory=list)
    tracked: bool = False
    passed_over: int = 0

    def __post_init__(self) -> None:
        # JSON may hold halves of characters, which no file can.
        self.name = self.name.encode(errors="replace").decode().strip()[:LONGEST_NAME] or "object"

    def add(self, frame: int, points: tuple[float, ...], size: tuple[int, int], **scores: Any) -> None:
        """Adds a shape; one without a pixel in a frame of (height, width) is passed over."""
        if figure_to_mask(self.kind, points, *size).any():
            self.figures.append(Figure(frame, points, **scores))
        else:
            self.passed_over += 1

    def add_figure(self, figure: Figure, clip: Clip) -> None:
        """Adds a figure that says that the object is gone, or has a pixel; others are passed over."""
        size = clip.info.height, clip.info.width
        within = 0 <= figure.frame < clip.frames
        if within and (figure.outside or figure_to_mask(self.kind, figure.points, *size).any()):
            self.figures.append(figure)
        elif not figure.outside:
            self.passed_over += 1

    def add_mask(self, frame: int, mask: BoolArray, **scores: Any) -> None:
        """Adds a mask if it has a pixel."""
        if mask.any():
            self.figures.append(Figure(frame, tuple(cvat_rle.encode(mask)), **scores))


def coco_mask(code: Any, height: int, width: int) -> BoolArray:
    """A mask of COCO's: run-length code, compressed or not, or polygons.

    Written here though pycocotools decodes too: it takes a code's word for how many pixels it fills, and
    these codes come from anywhere.

    Returns:
        (height, width) bool.

    Raises:
        AnnotationError: it is none, or of another size.
    """

    def decoded() -> BoolArray:
        if isinstance(code, list):
            parts = [polygon_to_mask(part, height, width) for part in code]
            return np.asarray(np.any(parts, axis=0), dtype=np.bool_)
        size = [int(side) for side in code["size"]]
        if size != [height, width]:
            raise ValueError(f"it is of a frame of {size[1]} x {size[0]} pixels, not {width} x {height}")
        counts = code["counts"]
        runs = counts if isinstance(counts, list) else list(_runs(counts.encode("ascii"), height * width))
        if any(run < 0 for run in runs) or sum(runs) != height * width:
            raise ValueError("its runs do not fill the frame")
        pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return np.ascontiguousarray(pixels.reshape(width, height).T)

    mask: BoolArray = trusted("a mask", decoded)
    return mask


def _runs(text: bytes, most: int) -> Iterator[int]:
    """The runs of a compressed code: groups of five bits, the differences to the run before last.

    `rleFrString` of COCO's maskApi.c says the same.
    """
    before, last, value, shift = 0, 0, 0, 0
    number = 0
    for character in text:
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            if shift > 40:
                raise ValueError("a run is too long")
            continue
        if bits & 0x10:
            value -= 1 << shift
        run = value + (before if number > 2 else 0)
        if not 0 <= run <= most:
            raise ValueError("its runs do not fill the frame")
        yield run
        before, last, value, shift, number = last, run, 0, 0, number + 1


def trusted(what: str, read: Callable[[], Any]) -> Any:
    """Reads a part of somebody else's file.

    Raises:
        AnnotationError: it is not what it should be, whatever it is instead.
    """
    try:
        return read()
    except KeepsightError:
        raise
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise AnnotationError(f"Expected {what}, but it cannot be read: {reason}. Check the file.") from error


def share(value: Any) -> float | None:
    """A score of somebody else's file within 0..1; None where there is none."""
    number = math.nan if value is None else float(value)
    return None if math.isnan(number) else min(max(number, 0.0), 1.0)
