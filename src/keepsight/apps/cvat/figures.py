"""CVAT's shapes as prompts, and masks as CVAT's shapes."""

import numpy as np

from keepsight.apps.cvat.wire import Drawn
from keepsight.shapes import cvat_rle, mask_to_polygon, polygon_to_mask
from keepsight.types import Box, Mask, ObjectResult, Prompt

__all__ = ["figure_of", "prompt_of"]


def prompt_of(shape: Drawn, height: int, width: int) -> Prompt:
    """What a shape says of an object on a frame.

    Raises:
        PromptError: it lies outside the frame or has no area.
    """
    if shape.kind == "rectangle":
        x1, y1, x2, y2 = shape.points
        return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    if shape.kind == "polygon":
        return Mask(polygon_to_mask(shape.points, height, width))
    return Mask(cvat_rle.decode(shape.points, height, width))


def figure_of(found: ObjectResult, previous: Drawn, tolerance: float) -> Drawn | None:
    """What was found, as a shape of the kind that the object has; None where it was not found.

    Args:
        found: the object on the frame.
        previous: its shape on the frame before, along which a polygon is laid.
        tolerance: how far a polygon may stray from the mask's outline, in pixels.
    """
    if not found.visible:
        return None
    if previous.kind == "rectangle":
        box = found.box
        return None if box is None else Drawn("rectangle", box, previous.bare)
    if previous.kind == "mask":
        return Drawn("mask", tuple(cvat_rle.encode(found.mask)))
    points = mask_to_polygon(found.mask, tolerance=tolerance, previous=np.asarray(previous.points))
    return None if points is None else Drawn("polygon", tuple(points))
