"""Sequences: the frames of one video and its ground truth, read when asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from keepsight.errors import AnnotationError, SourceError
from keepsight.evaluation.label_image import LabelImage, image_size
from keepsight.evaluation.number_lines import read_flags, read_rows
from keepsight.types import BoolArray

__all__ = ["BoxSequence", "MaskSequence"]

FEWEST_FRAMES = 3  # the first is given, the last is not scored


@dataclass(frozen=True)
class MaskSequence:
    """One video whose objects are known by their masks.

    Attributes:
        name: of the sequence.
        frames: image files in order.
        labels: one label image per frame.
    """

    name: str
    frames: tuple[Path, ...]
    labels: tuple[Path, ...]

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """The objects of the first frame; those that come later are not part of the benchmark.

        Raises:
            AnnotationError: the first label image cannot be read or shows no object.
        """
        ids = self._first.object_ids
        if not ids:
            raise AnnotationError(
                f"Expected '{self.labels[0]}' to show the objects to follow, but it is empty. Leave out the "
                f"frames before the first object appears."
            )
        return ids

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of all frames, from the first."""
        return image_size(self.frames[0], SourceError)

    def masks(self, index: int) -> dict[int, BoolArray]:
        """The true masks of one frame, read now and not kept.

        Args:
            index: the frame's number, from 0.

        Returns:
            (H, W) bool by object id; all False where an object is absent.

        Raises:
            AnnotationError: the label image cannot be read or has another size than the frames.
        """
        path = self.labels[index]
        label = self._first if index == 0 else LabelImage.read(path, binary=self._first.binary)
        if label.size != self.size:
            raise AnnotationError(_size_message(path, label.size, self.frames[0], self.size))
        return {i: label.mask(i) for i in self.object_ids}

    def check(self) -> None:
        """Looks at everything that can be told without decoding the pixels.

        Raises:
            AnnotationError: too few frames, no object on the first, or a label image of another size.
            SourceError: a frame that cannot be read or differs in size.
        """
        if len(self.frames) < FEWEST_FRAMES:
            raise AnnotationError(
                f"Expected sequence '{self.name}' to have at least {FEWEST_FRAMES} frames, as the first and "
                f"the last are not scored, but it has {len(self.frames)}."
            )
        self.masks(0)
        _check_sizes(self.frames, self.size)
        for path in self.labels:
            size = image_size(path, AnnotationError)
            if size != self.size:
                raise AnnotationError(_size_message(path, size, self.frames[0], self.size))

    @cached_property
    def _first(self) -> LabelImage:
        return LabelImage.read(self.labels[0])


@dataclass(frozen=True)
class BoxSequence:
    """One video whose single object is known by its boxes.

    Attributes:
        name: of the sequence.
        frames: image files in order.
        listing: the file of boxes, a line of x, y, width, height per frame; pixels count from 1.
        absences: files of one 0 or 1 per frame, 1 where the object is absent or hidden completely.
    """

    name: str
    frames: tuple[Path, ...]
    listing: Path
    absences: tuple[Path, ...] = ()

    @cached_property
    def boxes(self) -> npt.NDArray[np.float64]:
        """The true boxes, (N, 4) x1, y1, x2, y2 in pixels that count from 0.

        Raises:
            AnnotationError: the file cannot be read, has a line that is no box, or another number of lines.
        """
        rows = read_rows(self.listing, 4)
        _check_count(self, self.listing, len(rows))
        # OTB, LaSOT and GOT-10k come from MATLAB: their top left pixel is (1, 1).
        corner = rows[:, :2] - 1
        return np.hstack([corner, corner + rows[:, 2:]])

    @cached_property
    def visible(self) -> BoolArray:
        """(N,) whether the object is in the frame: not flagged as absent, and with a box that has an area.

        Raises:
            AnnotationError: a file cannot be read, has a wrong value or another number of values.
        """
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        visible: BoolArray = np.asarray((sides > 0).all(axis=1))
        for path in self.absences:
            absent = read_flags(path)
            _check_count(self, path, len(absent))
            visible = visible & ~absent
        return visible

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of all frames, from the first."""
        return image_size(self.frames[0], SourceError)

    def check(self) -> None:
        """Looks at everything that can be told without decoding the pixels.

        Raises:
            AnnotationError: the files of the ground truth are wrong, or the object is not on the first frame.
            SourceError: the first frame cannot be read.
        """
        if len(self.frames) < FEWEST_FRAMES - 1:
            raise AnnotationError(
                f"Expected sequence '{self.name}' to have at least {FEWEST_FRAMES - 1} frames, as the first "
                f"is given, but it has {len(self.frames)}."
            )
        width, height = self.size
        x1, y1, x2, y2 = self.boxes[0]
        if not self.visible[0] or x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
            raise AnnotationError(
                f"'{self.listing}', line 1: expected the box of the object to follow, inside the first frame "
                f"of {width}x{height}, but it is {[x1 + 1, y1 + 1, x2 - x1, y2 - y1]} or flagged as absent. "
                f"Leave out the frames before the object appears."
            )


def _check_count(sequence: BoxSequence, path: Path, count: int) -> None:
    if count != len(sequence.frames):
        raise AnnotationError(
            f"Expected one entry per frame in '{path}', but sequence '{sequence.name}' has "
            f"{len(sequence.frames)} frames and {count} entries. Complete the download; a benchmark's hidden "
            f"test part cannot be scored here."
        )


def _check_sizes(frames: tuple[Path, ...], size: tuple[int, int]) -> None:
    for path in frames:
        other = image_size(path, SourceError)
        if other != size:
            raise SourceError(_size_message(path, other, frames[0], size))


def _size_message(path: Path, size: tuple[int, int], first: Path, expected: tuple[int, int]) -> str:
    return (
        f"Expected '{path}' to be {expected[0]}x{expected[1]} like '{first}', but it is {size[0]}x{size[1]}. "
        f"Take frames and annotations of one resolution."
    )
