"""Outlines as attributes of CVAT's XML elements, and back."""

from collections.abc import Sequence

from keepsight.errors import AnnotationError
from keepsight.shapes.cvat_xml.tree import Element

__all__ = [
    "SHAPE_TAGS",
    "TAGS",
    "number_in",
    "outline_in",
    "outline_of",
    "text_in",
    "whole_in",
    "whole_number",
]

SHAPE_TAGS = {
    "box": "rectangle",
    "polygon": "polygon",
    "mask": "mask",
    "polyline": "polyline",
    "points": "points",
    "ellipse": "ellipse",
    "cuboid": "cuboid",
    "skeleton": "skeleton",
}
"""CVAT's types by the elements that hold them."""

TAGS = {kind: tag for tag, kind in SHAPE_TAGS.items()}
"""The elements that hold CVAT's types."""


def outline_of(kind: str, points: Sequence[float], rotation: float = 0.0) -> dict[str, str]:
    """The attributes that give a shape's outline, with two decimals as CVAT writes them.

    Args:
        kind: "rectangle" (x1, y1, x2, y2), "polygon" (x, y, x, y, ...) or "mask" (runs, left, top,
            right, bottom).
        points: in pixels of the frame.
        rotation: of a rectangle, degrees clockwise about its centre.
    """
    if kind == "mask":
        *runs, left, top, right, bottom = (int(point) for point in points)
        sides = {"left": left, "top": top, "width": right - left + 1, "height": bottom - top + 1}
        return {"rle": ", ".join(map(str, runs)), **{side: str(pixels) for side, pixels in sides.items()}}
    if kind == "rectangle":
        edges = dict(zip(("xtl", "ytl", "xbr", "ybr"), map("{:.2f}".format, points), strict=True))
        return edges | ({"rotation": f"{rotation:.2f}"} if rotation else {})
    pairs = zip(points[::2], points[1::2], strict=True)
    return {"points": ";".join(f"{x:.2f},{y:.2f}" for x, y in pairs)}


def outline_in(element: Element, where: str) -> tuple[float, ...]:
    """The points of an element as `outline_of` takes them; none for a kind that is not tracked.

    Args:
        element: a shape.
        where: in messages, what is read.

    Raises:
        AnnotationError: something is missing or no number.
    """
    if element.tag == "box":
        edges = ("xtl", "ytl", "xbr", "ybr")
        return tuple(number_in(text_in(element, edge, where), where) for edge in edges)
    if element.tag == "mask":
        runs = [float(whole_number(run, where)) for run in text_in(element, "rle", where).split(",")]
        left, top, width, height = (whole_in(element, s, where) for s in ("left", "top", "width", "height"))
        return (*runs, float(left), float(top), float(left + width - 1), float(top + height - 1))
    if element.tag == "polygon":
        pairs = [pair.split(",") for pair in text_in(element, "points", where).split(";")]
        if any(len(pair) != 2 for pair in pairs):
            raise AnnotationError(f"{where}: expected points as x,y;x,y;..., but got otherwise.")
        return tuple(number_in(text, where) for pair in pairs for text in pair)
    return ()


def text_in(element: Element, key: str, where: str) -> str:
    """An attribute of an element.

    Raises:
        AnnotationError: it has none of this name.
    """
    value = element.attributes.get(key)
    if value is None:
        raise AnnotationError(f"{where}: expected <{element.tag}> to have {key}, but it has none.")
    return value


def whole_in(element: Element, key: str, where: str, otherwise: int | None = None) -> int:
    """An attribute that is a whole number; `otherwise` where there is none.

    Raises:
        AnnotationError: it is none, or missing with nothing to take its place.
    """
    if otherwise is not None and key not in element.attributes:
        return otherwise
    return whole_number(text_in(element, key, where), f"{where}, {key}")


def whole_number(text: str, where: str) -> int:
    """Text as a whole number.

    Raises:
        AnnotationError: it is none.
    """
    try:
        return int(text)
    except ValueError as error:
        raise AnnotationError(f"{where}: expected a whole number, but got {text[:40]!r}.") from error


def number_in(text: str, where: str) -> float:
    """Text as a coordinate or angle.

    Raises:
        AnnotationError: it is no number, or none that a frame could have.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise AnnotationError(f"{where}: expected a number, but got {text[:40]!r}.") from error
    if not abs(value) < 1e9:
        raise AnnotationError(f"{where}: expected a coordinate in pixels, but got {text[:40]!r}.")
    return value
