"""CVAT's tracker requests and answers (lambda manager, `type: tracker`) as values, and back."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from keepsight.apps.cvat.settings import Settings
from keepsight.errors import KeepsightError, UsageError

__all__ = ["KINDS", "Drawn", "Item", "Request", "TooLargeError", "answer", "read_request", "read_shape"]

KINDS = ("rectangle", "polygon", "mask")
LARGEST = 1e9  # of a coordinate or a run; NaN is not below it
_CORNERS = 4


class TooLargeError(KeepsightError, ValueError):
    """A request that is larger than the deployment allows."""


@dataclass(frozen=True)
class Drawn:
    """A shape as CVAT has it.

    Attributes:
        kind: "rectangle" (x1, y1, x2, y2), "polygon" (x, y, x, y, ...) or "mask" (runs and box).
        points: in pixels of the frame.
        bare: whether it came, and goes, as a bare list of numbers (CVAT's legacy mode; rectangles).
    """

    kind: str
    points: tuple[float, ...]
    bare: bool = False

    def to_json(self) -> str:
        """What `from_json` reads: how states and answers are kept."""
        return json.dumps([self.kind, self.points, self.bare])

    @classmethod
    def from_json(cls, text: str | bytes) -> "Drawn":
        """What `to_json` wrote."""
        kind, points, bare = json.loads(text)
        return cls(kind, tuple(points), bare)


class Item(NamedTuple):
    """One object of a request: a shape to begin with, or the token of a state to go on from."""

    shape: Drawn | None
    token: str | None


class Request(NamedTuple):
    """What is asked."""

    image: bytes  # an image file
    items: tuple[Item, ...]


def read_request(body: object, settings: Settings) -> Request:
    """Reads a request's JSON.

    An object without a state is begun with its shape, one with a state is gone on with; so a request may do
    both, as older CVAT servers ask.

    Raises:
        UsageError: it is not such a request (HTTP 400).
        TooLargeError: the image file, the objects or a shape are more than is allowed (413).
    """
    if not isinstance(body, Mapping):
        raise UsageError(f"Expected a JSON object with image, shapes and states, but got {_name(body)}.")
    shapes, states = (_listed(body, key) for key in ("shapes", "states"))
    count = max(len(shapes), len(states))
    if count > settings.max_objects:
        raise TooLargeError(f"Expected at most {settings.max_objects} objects, but got {count}.")
    if states and shapes and len(shapes) != len(states):
        raise UsageError(
            f"Expected as many shapes as states, but got {len(shapes)} shapes and {len(states)} states."
        )
    image = _image(body.get("image"), settings.max_image_bytes)
    items = [
        _item(
            shapes[i] if i < len(shapes) else None,
            states[i] if i < len(states) else None,
            i,
            settings,
        )
        for i in range(count)
    ]
    return Request(image, tuple(items))


def answer(shapes: Sequence[Drawn | None], tokens: Sequence[str]) -> dict[str, Any]:
    """An answer's JSON: for every object of the request its shape, or null, and its state."""
    return {"shapes": [None if shape is None else _written(shape) for shape in shapes], "states": [*tokens]}


def _written(shape: Drawn) -> Any:
    points = [int(p) for p in shape.points] if shape.kind == "mask" else list(shape.points)
    return points if shape.bare else {"type": shape.kind, "points": points}


def _listed(body: Mapping[Any, Any], key: str) -> list[Any]:
    value = body.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"Expected {key} to be a list, but got {_name(value)}.")
    return value


def _image(text: object, most: int) -> bytes:
    if not isinstance(text, str) or not text:
        raise UsageError(f"Expected image to be an image file in base64, but got {_name(text)}.")
    if len(text) * 3 // 4 > most + 3:
        raise TooLargeError(f"Expected an image file of at most {most} bytes, but got {len(text) * 3 // 4}.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(
            f"Expected image to be an image file in base64, but it is no base64: {error}."
        ) from error


def _item(shape: object, state: object, place: int, settings: Settings) -> Item:
    if state is not None:
        if not isinstance(state, str):
            raise UsageError(f"Expected state {place} to be a string, but got {_name(state)}.")
        return Item(None, state)
    if shape is None:
        raise UsageError(f"Expected a shape or a state for object {place}, but got neither.")
    return Item(read_shape(shape, place, settings), None)


def read_shape(shape: object, place: int, settings: Settings) -> Drawn:
    """Reads a shape's JSON: a type and points, or a rectangle's four numbers.

    Args:
        shape: the JSON.
        place: its number in the request, for messages.
        settings: the deployment's limits.

    Raises:
        UsageError: it is no shape of a kind that can be tracked.
        TooLargeError: it has more numbers than is allowed.
    """
    if isinstance(shape, Mapping):
        kind, points, bare = shape.get("type"), shape.get("points"), False
    else:
        kind, points, bare = "rectangle", shape, True
    if kind not in KINDS:
        raise UsageError(f"Expected shape {place} to be one of {', '.join(KINDS)}, but got {kind!r:.60}.")
    most = 2 * settings.max_vertices if kind == "polygon" else settings.max_points
    return Drawn(kind, _numbers(points, kind, place, most), bare)


def _numbers(points: object, kind: str, place: int, most: int) -> tuple[float, ...]:
    if not isinstance(points, list) or not all(_is_number(p) for p in points):
        raise UsageError(f"Expected the points of shape {place} to be a list of numbers, but got otherwise.")
    if len(points) > most:
        raise TooLargeError(
            f"Expected shape {place} to have at most {most} numbers, but it has {len(points)}."
        )
    if kind == "rectangle" and len(points) != _CORNERS:
        raise UsageError(f"Expected rectangle {place} as x1, y1, x2, y2, but got {len(points)} numbers.")
    return tuple(float(p) for p in points)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _name(value: object) -> str:
    return "nothing" if value is None or value == "" else f"a {type(value).__name__}"
