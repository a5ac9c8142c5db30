"""Clips of coloured discs, and what must be answered of each disc."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from keepsight.apps.cvat.follower import Followed, Follower, Picture
from keepsight.apps.cvat.settings import Settings
from keepsight.apps.cvat.wire import Drawn
from keepsight.nn.sam2 import Sam2
from keepsight.shapes import cvat_rle, mask_to_polygon
from keepsight.types import BoolArray

HEIGHT, WIDTH, RADIUS, LENGTH = 72, 96, 10, 14
CLIPS = (1, 2, 3)
COLOURS = [(220, 40, 40), (40, 200, 40), (50, 70, 230), (230, 200, 40)]
KINDS = ("mask", "polygon", "rectangle", "polygon")


def centre(clip: int, number: int, frame: int) -> tuple[float, float]:
    angle = 2 * np.pi * (number / len(COLOURS) + (frame if clip != 2 else -frame) / 40) + clip
    return WIDTH / 2 + 31 * np.cos(angle), HEIGHT / 2 + 22 * np.sin(angle)


def disc(clip: int, number: int, frame: int) -> BoolArray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    cx, cy = centre(clip, number, frame)
    inside: BoolArray = (x - cx) ** 2 + (y - cy) ** 2 < RADIUS**2
    return inside


def rendered(clip: int, frame: int) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.where(((x // 8 + y // 8 + clip) % 2)[..., None], 112, 92).astype(np.uint8).repeat(3, axis=2)
    for number, colour in enumerate(COLOURS):
        picture[disc(clip, number, frame)] = colour
    return picture


def drawn(clip: int, number: int, frame: int) -> dict[str, Any]:
    """What a user draws around a disc."""
    kind, mask = KINDS[number], disc(clip, number, frame)
    if kind == "mask":
        return {"type": kind, "points": cvat_rle.encode(mask)}
    if kind == "polygon":
        return {"type": kind, "points": mask_to_polygon(mask)}
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return {"type": kind, "points": [float(v) for v in box]}


class Oracle:
    """What must be answered, by the frames that an object has seen; there is no store and no batch."""

    def __init__(self, network: Sam2) -> None:
        self._follower = Follower(network, Settings())
        self.look = cache(self._look)
        self.after = cache(self._after)

    def _look(self, clip: int, frame: int) -> Picture:
        return self._follower.look(rendered(clip, frame))

    def _after(self, clip: int, number: int, seen: tuple[int, ...]) -> Followed:
        picture = self.look(clip, seen[-1])
        if len(seen) == 1:
            shape = drawn(clip, number, seen[0])
            begun = Drawn(shape["type"], tuple(shape["points"]))
            return Followed(begun, self._follower.begin([begun], picture)[0])
        return self._follower.follow([self.after(clip, number, seen[:-1]).kept], picture)[0]

    def answer(self, clip: int, number: int, seen: tuple[int, ...]) -> Any:
        shape = self.after(clip, number, seen).shape
        return None if shape is None else {"type": shape.kind, "points": list(shape.points)}
