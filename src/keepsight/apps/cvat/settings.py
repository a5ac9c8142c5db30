"""What a deployment of the CVAT function may choose, by environment variables."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from keepsight.errors import UsageError

__all__ = ["Lost", "Settings"]

Lost = Literal["hold", "null"]
PREFIX = "KEEPSIGHT_"


@dataclass(frozen=True)
class Settings:
    """The choices; each is read from `KEEPSIGHT_` and its name in capitals.

    Attributes:
        model: catalogue name, repository or path.
        policy: name of a memory policy.
        device: "auto", "cpu", "cuda", "cuda:1".
        dtype: "auto", "float32", "bfloat16".
        polygon_tolerance: how far a polygon may stray from the mask's outline, in pixels.
        lost_rectangle: what is answered for a rectangle whose object is not found. "hold" repeats its last
            place, since the tracker panel of stock CVAT fails on null; "null" is what polygons and masks get.
        max_image_bytes: largest image file.
        max_image_pixels: largest image, width times height.
        max_objects: most objects in a request.
        max_points: most numbers in a shape.
        max_vertices: most corners of a polygon.
    """

    model: str = "pocket"
    policy: str = "sam2"
    device: str = "auto"
    dtype: str = "auto"
    polygon_tolerance: float = 1.0
    lost_rectangle: Lost = "hold"
    max_image_bytes: int = 128 * 2**20
    max_image_pixels: int = 64_000_000
    max_objects: int = 100
    max_points: int = 1_000_000
    max_vertices: int = 2_000

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """The choices of this process.

        Raises:
            UsageError: a variable has a value that does not fit.
        """
        environ = os.environ if environ is None else environ
        chosen: dict[str, Any] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            text = environ.get(variable, "")
            if text:
                chosen[field.name] = _read(variable, text, type(field.default))
        settings = cls(**chosen)
        if settings.lost_rectangle not in get_args(Lost):
            raise UsageError(
                f"Expected {PREFIX}LOST_RECTANGLE to be one of {', '.join(get_args(Lost))}, but got "
                f"{settings.lost_rectangle!r}."
            )
        return settings


def _read(variable: str, text: str, kind: Callable[[str], Any]) -> Any:
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise UsageError(f"Expected {variable} to be a number from 0, but got {text!r}.")
    return value
