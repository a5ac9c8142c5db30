"""Shapes of one kind made shapes of another."""

from dataclasses import replace

from keepsight.apps.annotator.project import Kind, Shape
from keepsight.shapes import figure_to_mask, mask_to_figure, rectangle_corners

__all__ = ["converted"]


def converted(shape: Shape, kind: Kind, wanted: Kind, height: int, width: int) -> Shape:
    """A shape of another kind that covers the same, as far as that kind can.

    Args:
        shape: what is converted.
        kind: its kind.
        wanted: the kind it gets.
        height: of the frame in pixels.
        width: of the frame in pixels.
    """
    if kind == wanted or not shape.points:
        return shape
    if (kind, wanted) == ("rectangle", "polygon"):
        return replace(shape, points=tuple(rectangle_corners(shape.points).ravel().tolist()))
    if (kind, wanted) == ("polygon", "rectangle"):
        x, y = shape.points[::2], shape.points[1::2]
        return replace(shape, points=(min(x), min(y), max(x), max(y)))
    mask = figure_to_mask(kind, shape.points, height, width)
    return replace(shape, points=mask_to_figure(wanted, mask) or ())
