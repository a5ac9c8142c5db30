"""What is drawn by hand, checked; and the colours of new objects."""

from collections import Counter
from collections.abc import Sequence

from keepsight.apps.annotator.project import Kind
from keepsight.errors import PromptError
from keepsight.shapes import figure_to_mask

__all__ = ["drawn", "free_colour"]

# Apart in hue and in lightness, and none near white, black or the usual skin, sky and grass.
COLOURS = (
    "#2696ff",
    "#ff8c1a",
    "#3cd260",
    "#fa46af",
    "#ffd71e",
    "#9e68ff",
    "#14d7dc",
    "#f0423a",
    "#b0e628",
    "#ffa08c",
    "#4e62e8",
    "#78f2be",
)


def drawn(kind: Kind, points: Sequence[float], height: int, width: int) -> tuple[float, ...]:
    """The points of a shape drawn by hand, as the project keeps them.

    Raises:
        PromptError: they are no such shape, or have no pixel in the frame.
    """
    mask = figure_to_mask(kind, points, height, width)
    if not mask.any():
        raise PromptError(
            "Expected a mask with at least one pixel, but it is empty. Delete the shape instead."
        )
    if kind == "mask":
        return tuple(int(number) for number in points)
    if kind == "rectangle":
        x1, y1, x2, y2 = points
        return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    return tuple(float(number) for number in points)


def free_colour(used: Counter[str]) -> str:
    """The colour that the fewest objects have, of several the first.

    Args:
        used: how many objects have each colour.
    """
    return min(COLOURS, key=used.__getitem__)
