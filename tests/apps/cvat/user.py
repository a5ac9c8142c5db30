"""A user of CVAT with three objects, who knows what is to be answered."""

from typing import Any

import numpy as np

from keepsight.shapes import cvat_rle, mask_to_polygon, polygon_to_mask
from keepsight.types import BoolArray
from tests.apps.cvat.lambda_manager import LambdaManager
from tests.oracle import moving_texture

FRAMES = moving_texture(6)
DISC = np.hypot(*(np.mgrid[:90, :120] - np.array([45, 30])[:, None, None])) < 18
SHAPES: list[Any] = [
    {"type": "mask", "points": cvat_rle.encode(DISC)},
    {"type": "polygon", "points": mask_to_polygon(DISC)},
    {"type": "rectangle", "points": [12.0, 27.0, 48.0, 63.0]},
]


class User:
    """Somebody with three objects, who knows what is to come.

    Attributes:
        states: those that were acknowledged last.
        frame: theirs.
    """

    def __init__(self, cvat: LambdaManager, undisturbed: list[list[Any]]) -> None:
        self.cvat, self.expected = cvat, undisturbed
        self.frame = 0
        reply = cvat.begin(1, 0, SHAPES)
        assert reply.status == 200, cvat.worker.log
        self.states: list[str] = reply.body["states"]

    def tokens(self) -> list[str]:
        return [self.cvat.token(state) for state in self.states]

    def ask(self, frame: int) -> Any:
        """A request on the states in hand, whose answer is not used."""
        return self.cvat.follow(1, frame, self.states)

    def go_on(self, *numbers: int) -> None:
        """The next frame, of all objects or of those named, must be answered as if nothing had happened."""
        chosen = numbers or range(len(SHAPES))
        reply = self.cvat.follow(1, self.frame + 1, [self.states[i] for i in chosen])
        assert reply.status == 200, self.cvat.worker.log
        self.frame += 1
        assert reply.body["shapes"] == [self.expected[self.frame][i] for i in chosen]
        for i, state in zip(chosen, reply.body["states"], strict=True):
            self.states[i] = state

    def told(self, status: int, sentence: str) -> bool:
        """Whether the function's log says so in its last line but one (the last says how long it took)."""
        line = self.cvat.worker.log.splitlines()[-2]
        return f"{status} " in line and sentence in line and "Traceback" not in self.cvat.worker.log


def mask_of(shape: Any, height: int, width: int) -> BoolArray:
    """The pixels of a shape; that they can be had at all shows that it is well formed."""
    if shape["type"] == "mask":
        assert len(shape["points"]) >= 6
        return cvat_rle.decode(shape["points"], height, width)
    if shape["type"] == "rectangle":
        x1, y1, x2, y2 = shape["points"]
        return polygon_to_mask([x1, y1, x2, y1, x2, y2, x1, y2], height, width)
    return polygon_to_mask(shape["points"], height, width)
