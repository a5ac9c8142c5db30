"""The values that cross keepsight's borders: prompts going in, frames and results coming out.

Coordinates are pixels of the original frame, x to the right and y down, (0, 0) the top left corner
of the top left pixel. Images are RGB uint8 arrays of shape (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from keepsight.errors import PromptError

__all__ = ["Box", "Frame", "FrameResult", "Mask", "ObjectResult", "Points", "Prompt", "Rle", "rle_of"]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]


class Rle(TypedDict):
    """A run-length mask as COCO writes it (pycocotools, `mask.encode`, counts as text)."""

    size: list[int]
    counts: str


def rle_of(mask: BoolArray) -> Rle:
    """A mask (H, W) as COCO run-length code, readable by `pycocotools.mask.decode`."""
    from pycocotools import mask as coco

    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in code["size"]], "counts": code["counts"].decode("ascii")}


@dataclass(frozen=True, eq=False)
class Points:
    """Clicks on one object.

    Args:
        xy: (N, 2) pixel coordinates of the original frame.
        labels: (N,) one per point: 1 on the object, 0 on what is not the object. All 1 when omitted.

    Raises:
        PromptError: nothing given, shapes that do not match, labels other than 0 and 1, or coordinates
            that are not finite.
    """

    xy: npt.ArrayLike
    labels: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        xy = np.asarray(self.xy, dtype=np.float32)
        if xy.ndim != 2 or xy.shape[1:] != (2,) or len(xy) == 0:
            raise PromptError(
                f"Points expects at least one (x, y) pair, an array of shape (N, 2), but got shape "
                f"{tuple(xy.shape)}. Write one click as Points([(x, y)])."
            )
        if not np.isfinite(xy).all():
            raise PromptError(f"Points expects finite pixel coordinates, but got {xy.tolist()}.")
        labels = np.ones(len(xy)) if self.labels is None else np.asarray(self.labels)
        if labels.shape != (len(xy),) or not np.isin(labels, (0, 1)).all():
            raise PromptError(
                f"Points expects one label per point, 1 (on the object) or 0 (not the object), for "
                f"{len(xy)} point(s), but got {labels.tolist()}."
            )
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "labels", labels.astype(np.int32))


@dataclass(frozen=True)
class Box:
    """A box around one object: left, top, right and bottom edge in pixels of the original frame.

    Raises:
        PromptError: an edge is not a finite number, or the box is empty or inverted.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        edges = np.asarray([self.x1, self.y1, self.x2, self.y2], dtype=np.float64)
        if not np.isfinite(edges).all():
            raise PromptError(f"Box expects four finite pixel coordinates, but got {edges.tolist()}.")
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise PromptError(
                f"Box expects x1 < x2 and y1 < y2 (left, top, right, bottom), but got "
                f"({self.x1}, {self.y1}, {self.x2}, {self.y2}). Swap the corners, or convert from "
                f"x, y, width, height with Box(x, y, x + width, y + height)."
            )


@dataclass(frozen=True, eq=False)
class Mask:
    """The object's mask on the prompted frame.

    Args:
        array: (H, W) of the original frame's size; bool, or numbers where everything above 0 is object.

    Raises:
        PromptError: the array is not two-dimensional or marks no pixel.
    """

    array: npt.ArrayLike

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 2:
            raise PromptError(
                f"Mask expects an (H, W) array of the frame's size, but got shape {tuple(array.shape)}."
            )
        array = array if array.dtype == np.bool_ else array > 0
        if not array.any():
            raise PromptError("Mask expects at least one object pixel, but the mask given is empty.")
        object.__setattr__(self, "array", array)


Prompt = Points | Box | Mask | Sequence[Points | Box]
"""What may be said of one object on one frame; a sequence joins a box with points."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        index: its number in the source, from 0.
        time: its exact presentation time in seconds, or None where the source knows no time.
        image: (H, W, 3) uint8, RGB, upright.
    """

    index: int
    time: Fraction | None
    image: ImageArray


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """One object on one frame.

    Attributes:
        mask: (H, W) bool at frame resolution; all False where the object is absent.
        score: the network's own estimate of the mask's IoU with the truth, 0..1; 1 under a mask prompt.
        presence: probability that the object is in the frame at all, 0..1.
        visible: whether the object is present and its mask has a pixel.
        logits: (H, W) float32 mask logits, only where they were asked for (`keep_logits=True`).
    """

    mask: BoolArray
    score: float
    presence: float
    visible: bool
    logits: FloatArray | None = None

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """The mask's tight box (x1, y1, x2, y2) in pixels, right and bottom edge exclusive; None if empty."""
        columns, rows = np.flatnonzero(self.mask.any(axis=0)), np.flatnonzero(self.mask.any(axis=1))
        if len(columns) == 0:
            return None
        return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)

    def to_rle(self) -> Rle:
        """The mask as COCO run-length code, readable by `pycocotools.mask.decode`."""
        return rle_of(self.mask)

    def polygons(self, tolerance: float = 1.0) -> list[npt.NDArray[np.float32]]:
        """The outer contours of the mask's parts, largest first.

        Args:
            tolerance: how far, in pixels, a simplified contour may stray from the true one
                (Douglas-Peucker); 0 keeps every vertex.

        Returns:
            One (N, 2) array of x, y pixel-centre coordinates per part; parts of fewer than three
            vertices are left out.
        """
        import cv2

        contours, _ = cv2.findContours(self.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        parts: list[Any] = sorted(contours, key=cv2.contourArea, reverse=True)
        simplified = [cv2.approxPolyDP(part, tolerance, True)[:, 0].astype(np.float32) for part in parts]
        return [part for part in simplified if len(part) >= 3]


@dataclass(frozen=True, eq=False)
class FrameResult(Mapping[int, ObjectResult]):
    """Every tracked object on one frame; a mapping from object id to `ObjectResult`.

    Attributes:
        index: the frame's number.
        time: the frame's exact time in seconds, or None.
        image: the frame itself, (H, W, 3) uint8 RGB.
        objects: results by object id, in the order in which the objects joined.
    """

    index: int
    time: Fraction | None
    image: ImageArray
    objects: Mapping[int, ObjectResult] = field(default_factory=dict)

    def __getitem__(self, object_id: int) -> ObjectResult:
        return self.objects[object_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)
