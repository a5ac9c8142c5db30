"""CVAT's shapes as prompts, and masks as CVAT's shapes."""

from keepsight.apps.cvat.wire import Drawn
from keepsight.shapes import figure_to_prompt, mask_to_figure
from keepsight.types import ObjectResult, Prompt

__all__ = ["figure_of", "prompt_of"]


def prompt_of(shape: Drawn, height: int, width: int) -> Prompt:
    """What a shape says of an object on a frame.

    Raises:
        PromptError: it lies outside the frame or has no area.
    """
    return figure_to_prompt(shape.kind, shape.points, height, width)


def figure_of(found: ObjectResult, previous: Drawn, tolerance: float) -> Drawn | None:
    """What was found, as a shape of the kind that the object has; None where it was not found.

    Args:
        found: the object on the frame.
        previous: its shape on the frame before, along which a polygon is laid.
        tolerance: how far a polygon may stray from the mask's outline, in pixels.
    """
    if not found.visible:
        return None
    points = mask_to_figure(previous.kind, found.mask, tolerance=tolerance, previous=previous.points)
    return None if points is None else Drawn(previous.kind, points, previous.bare)
