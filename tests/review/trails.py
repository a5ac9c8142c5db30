"""Made-up objects for the review: a square that moves and is believed in, but where told otherwise."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keepsight.review import Observation, ReviewQueue
from keepsight.types import FrameResult, ObjectResult

SIZE = (60, 200)
SURE = 1 - 1e-5


def found(frame: int, **changes: Any) -> ObjectResult:
    """The square on a frame: 12 pixels wide, half a pixel further each frame.

    Args:
        frame: its number.
        changes: `score`, `presence`, `visible`; `x` and `side` of the square; `rows` of it that are missing.
    """
    mask = np.zeros(SIZE, np.bool_)
    x, side = changes.pop("x", 10 + frame // 2), changes.pop("side", 12)
    rows = changes.pop("rows", 0)
    visible = changes.pop("visible", True)
    mask[20 : 20 + side - rows, x : x + side] = visible
    return ObjectResult(mask, changes.pop("score", 0.95), changes.pop("presence", SURE), visible)


def result(frame: int, **changes: Any) -> FrameResult:
    """A frame on which the square is object 1."""
    return FrameResult(frame, None, np.zeros((*SIZE, 3), np.uint8), {1: found(frame, **changes)})


def queue_of(length: int, odd: Mapping[int, Mapping[str, Any]] | None = None) -> ReviewQueue:
    """A clip whose first frame was told and that was tracked from there.

    Args:
        length: of the clip, in frames.
        odd: by frame, how the square differs there.
    """
    queue = ReviewQueue()
    queue.corrected(1, 0)
    for frame in range(length):
        queue.observe(result(frame, **(odd or {}).get(frame, {})))
    return queue


def seen(frame: int, **changes: Any) -> Observation:
    """What is kept of the square on a frame."""
    return Observation.of(frame, found(frame, **changes))
