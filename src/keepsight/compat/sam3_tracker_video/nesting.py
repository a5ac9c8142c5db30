"""Nested points, labels and boxes: checked, padded to one shape, scaled to the model input.

Three levels stand before the coordinates: image, object, point; two before a box's corners: image, box.
"""

import math
import numbers
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keepsight.errors import PromptError

__all__ = ["PromptTypeError", "box_tensor", "label_tensor", "point_tensor", "require_paired"]

Nested = list[Any]
Sizes = Sequence[Sequence[float]]


class PromptTypeError(PromptError, TypeError):
    """Something in a prompt is neither a number nor a list, array or tensor of numbers."""


def point_tensor(points: Any, sizes: Sizes, target: int, pad: float) -> tuple[Tensor, Nested]:
    """Points of every object of every image, in pixels of the model input.

    Args:
        points: [image][object][point][x, y] in pixels of the images: lists, arrays, tensors, or lists of
            these. Objects and points need not be equally many.
        sizes: (height, width) of every image, or one for all.
        target: side of the model input in pixels.
        pad: what both coordinates of a missing point are.

    Returns:
        (B, O, N, 2) float32, and the points as lists.

    Raises:
        PromptError: they are nested otherwise, or a coordinate is missing or not finite.
        PromptTypeError: something in them is no number.
    """
    values = _nested(points, 4, "points", "[image][object][point][x, y]", width=2)
    tensor = _padded(values, pad, torch.float32, tail=(2,))
    given = (tensor != pad).all(dim=-1, keepdim=True)
    return torch.where(given, tensor * _scales(sizes, len(tensor), target)[:, None, None], tensor), values


def label_tensor(labels: Any, pad: int) -> tuple[Tensor, Nested]:
    """Labels of every point, [image][object][point]: (B, O, N) int64, and the labels as lists.

    Raises:
        PromptError: they are nested otherwise.
        PromptTypeError: something in them is no number.
    """
    values = _nested(labels, 3, "labels", "[image][object][point]")
    return _padded(values, pad, torch.int64), values


def box_tensor(boxes: Any, sizes: Sizes, target: int) -> Tensor:
    """Boxes of every image, [image][box][x1, y1, x2, y2]: (B, O, 4) float32 in pixels of the model input.

    Raises:
        PromptError: they are nested otherwise, or images have different numbers of boxes.
        PromptTypeError: something in them is no number.
    """
    values = _nested(boxes, 3, "boxes", "[image][box][x1, y1, x2, y2]", width=4)
    counts = [len(image) for image in values]
    if len(set(counts)) > 1:
        raise PromptError(
            f"Expected as many boxes for every image, since boxes cannot be padded, but got {counts}. "
            f"Call the processor once per image."
        )
    tensor = torch.tensor(values, dtype=torch.float32)
    return tensor * _scales(sizes, len(tensor), target).repeat(1, 2)[:, None]


def require_paired(points: Nested, labels: Nested) -> None:
    """Checks that there is one label per point.

    Raises:
        PromptError: an object has more of one than of the other.
    """
    expected = [[len(item) for item in image] for image in points]
    got = [[len(item) for item in image] for image in labels]
    if expected != got:
        raise PromptError(
            f"Expected one label per point, but objects have {expected} points and {got} labels. "
            f"Give each point a label, nested as the points are."
        )


def _nested(data: Any, depth: int, name: str, meaning: str, width: int | None = None) -> Nested:
    """The data as nested lists of numbers, `depth` levels deep."""
    values = _as_lists(data, name)
    levels = _levels(values)
    if levels != depth:
        raise PromptError(
            f"Expected {name} to be nested {depth} levels deep, {meaning}, but got {levels} levels. "
            f"Put them into lists of that kind."
        )
    _require_even(values, depth, name, meaning, width)
    return list(values)


def _as_lists(data: Any, name: str) -> Any:
    if isinstance(data, Tensor | np.ndarray):
        return _as_lists(data.tolist(), name)
    if isinstance(data, list | tuple):
        return [_as_lists(item, name) for item in data]
    if isinstance(data, numbers.Real):
        if not math.isfinite(data):
            raise PromptError(f"Expected finite numbers in the {name}, but got {data}. Leave such ones out.")
        return data
    raise PromptTypeError(
        f"Expected the {name} to be numbers in lists, arrays or tensors, but got {type(data).__name__}. "
        f"Convert it."
    )


def _levels(values: Any) -> int:
    return 1 + max(map(_levels, values), default=0) if isinstance(values, list) else 0


def _require_even(values: Any, depth: int, name: str, meaning: str, width: int | None) -> None:
    """Checks that every branch has full depth, and every innermost list `width` numbers."""
    if not isinstance(values, list):
        raise PromptError(
            f"Expected {name} to be nested {meaning} throughout, but a number stands {depth} level(s) too "
            f"high. Put every object's {name} into lists of that kind."
        )
    if depth > 1:
        for item in values:
            _require_even(item, depth - 1, name, meaning, width)
    elif width is not None and len(values) != width:
        raise PromptError(
            f"Expected {name} of {width} coordinates, {meaning}, but got {values}. Give {width} numbers."
        )


def _padded(values: Nested, pad: float, kind: torch.dtype, tail: tuple[int, ...] = ()) -> Tensor:
    """(B, O, N, *tail): [image][object][point] with equally many objects and points everywhere."""
    objects = max(map(len, values))
    points = max(map(len, chain.from_iterable(values)))
    tensor = torch.full((len(values), objects, points, *tail), pad, dtype=kind)
    for image, rows in enumerate(values):
        for row, given in enumerate(rows):
            if given:
                tensor[image, row, : len(given)] = torch.tensor(given, dtype=kind)
    return tensor


def _scales(sizes: Sizes, images: int, target: int) -> Tensor:
    """(B or 1, 2): what x and y of each image are multiplied by."""
    if 1 < len(sizes) < images:
        raise PromptError(
            f"Expected the sizes of all {images} images, or one for all, but got {len(sizes)}. "
            f"Give one (height, width) per image."
        )
    chosen = sizes[:images] if len(sizes) > 1 else sizes
    return torch.tensor([(target / width, target / height) for height, width in chosen])
