"""What a person said of one object on one frame, gathered over several prompts and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from keepsight.errors import PromptError
from keepsight.types import BoolArray, Box, Mask, Points, Prompt

__all__ = ["Clicks"]

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Clicks:
    """A box, points and a mask in pixels of the frame; a mask stands alone.

    Attributes:
        size: (height, width) of the frame.
        box: at most one, clipped to the frame.
        xy: (N, 2) float32.
        labels: (N,) int32, 1 on the object, 0 not.
        mask: (H, W) bool.
    """

    size: Size
    box: Box | None = None
    xy: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    labels: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    mask: BoolArray | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether this may mean several things: a lone click (SAM 2, D.2.3)."""
        return self.mask is None and self.box is None and len(self.labels) <= 1

    @classmethod
    def of(cls, prompt: Prompt, size: Size) -> "Clicks":
        """Checks a prompt against a frame of (height, width).

        Raises:
            PromptError: the prompt does not fit the frame, or joins parts that cannot be joined.
        """
        if isinstance(prompt, Mask):
            return cls(size, mask=_fitting_mask(prompt, size))
        parts = [prompt] if isinstance(prompt, Points | Box) else _parts(prompt)
        boxes = [_clipped(part, size) for part in parts if isinstance(part, Box)]
        if len(boxes) > 1:
            raise PromptError(
                f"Expected at most one box per object and frame, but got {len(boxes)}. "
                f"Give each object its own id."
            )
        points = [_inside(part, size) for part in parts if isinstance(part, Points)]
        empty = cls(size, box=boxes[0] if boxes else None)
        return replace(
            empty,
            xy=np.concatenate([empty.xy, *(np.asarray(p.xy, np.float32) for p in points)]),
            labels=np.concatenate([empty.labels, *(np.asarray(p.labels, np.int32) for p in points)]),
        )

    def then(self, later: "Clicks") -> "Clicks":
        """These and later clicks: points add up, a new box takes the old one's place, masks stand alone."""
        if later.mask is not None or self.mask is not None:
            return later
        return Clicks(
            self.size,
            box=later.box or self.box,
            xy=np.concatenate([self.xy, later.xy]),
            labels=np.concatenate([self.labels, later.labels]),
        )

    def as_points(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """Box corners (labels 2 and 3), then points: what SAM's prompt encoder reads."""
        if self.box is None:
            return self.xy, self.labels
        corners = np.asarray([[self.box.x1, self.box.y1], [self.box.x2, self.box.y2]], np.float32)
        return (
            np.concatenate([corners, self.xy]),
            np.concatenate([np.asarray([2, 3], np.int32), self.labels]),
        )


def _parts(prompt: Sequence[Points | Box]) -> list[Points | Box]:
    parts = list(prompt) if isinstance(prompt, Sequence) else [prompt]
    if not parts or not all(isinstance(part, Points | Box) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts) or "nothing"
        raise PromptError(
            f"Expected a prompt: Points, Box, Mask, or a list of a Box and Points, but got {kinds}. "
            f"Write for example [Box(x1, y1, x2, y2), Points([(x, y)], [0])]."
        )
    return parts


def _fitting_mask(prompt: Mask, size: Size) -> BoolArray:
    mask = np.asarray(prompt.array, dtype=np.bool_)
    if mask.shape != size:
        raise PromptError(
            f"Expected a mask of the frame's size, {size[1]}x{size[0]} (array of shape {size}), but got "
            f"an array of shape {mask.shape}. Resize the mask to the frame first."
        )
    return mask


def _clipped(box: Box, size: Size) -> Box:
    height, width = size
    clipped = (max(box.x1, 0), max(box.y1, 0), min(box.x2, width), min(box.y2, height))
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise PromptError(
            f"Expected a box that meets the frame of {width}x{height} pixels, but got "
            f"({box.x1}, {box.y1}, {box.x2}, {box.y2}), which lies outside it. "
            f"Coordinates are pixels of the original frame."
        )
    return Box(*clipped)


def _inside(points: Points, size: Size) -> Points:
    height, width = size
    xy = np.asarray(points.xy)
    outside = (xy < 0).any(axis=1) | (xy[:, 0] > width) | (xy[:, 1] > height)
    if outside.any():
        raise PromptError(
            f"Expected points inside the frame of {width}x{height} pixels, but got "
            f"{xy[outside].tolist()}. Coordinates are pixels of the original frame."
        )
    return points
