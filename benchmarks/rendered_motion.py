"""How things move in the rendered clips: smooth paths through places at certain frames, poses along them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.rendered_scene import SIZE, Pose

__all__ = ["HERO", "LONG", "Knot", "Track", "crawling", "crossing", "passing", "reach", "smooth"]

PACE = 5.0  # pixels a frame of what comes past
HERO = 60.0  # half the target's length in pixels
LONG, WIDE = 0.95, 0.66  # how far it reaches along and across, in half lengths

Track = npt.NDArray[np.float64]  # (T, 2) x and y per frame
Knot = tuple[float, float, float]  # frame, x, y


def smooth(values: npt.NDArray[Any], soft: float) -> npt.NDArray[Any]:
    """Gaussian smoothing over time that leaves straight lines straight, at the ends too."""
    reach = int(4 * soft) + 1
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / soft) ** 2)
    padded = np.pad(values, reach, mode="reflect", reflect_type="odd")
    return np.convolve(padded, weights / weights.sum(), mode="valid")


def crawling(path: Track, size: float | npt.NDArray[Any]) -> list[Pose]:
    """Poses along a path: the head goes first and the body swings with the steps."""
    velocity = np.gradient(path, axis=0)
    moves = np.flatnonzero(np.hypot(*velocity.T) > 0.25)
    heading = np.unwrap(np.arctan2(velocity[moves, 1], velocity[moves, 0]))
    # Where it all but rests it keeps its heading.
    angle = smooth(np.interp(np.arange(len(path)), moves, heading), 3.0)
    stroke = np.cumsum(0.12 + 0.05 * np.hypot(*velocity.T))
    sizes = np.broadcast_to(size, len(path))
    return [
        Pose(float(x), float(y), float(s), float(a), bend=0.05, stroke=float(k))
        for (x, y), s, a, k in zip(path, sizes, angle, stroke, strict=True)
    ]


def passing(start: int, stop: int, slack: float) -> tuple[tuple[int, float], ...]:
    """Frames and distances to a bridge's middle of what goes straight on under it, from positive to negative.

    Args:
        start: the frame on which it is hidden completely.
        stop: the frame on which it shows again.
        slack: how far from the middle it is then.
    """
    speed = 2 * slack / (stop - start)
    further = slack + 12 * speed
    return (start - 12, further), (start, slack), (stop, -slack), (stop + 12, -further)


def reach(angle: float) -> tuple[float, float]:
    """How far the target reaches to the side and up on the screen when it is turned so, in pixels."""
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    return float(np.hypot(LONG * cos, WIDE * sin)) * HERO, float(np.hypot(LONG * sin, WIDE * cos)) * HERO


def crossing(random: np.random.Generator, path: Track, meetings: Sequence[int]) -> Track:
    """A path that comes into the frame, meets another path on certain frames, and leaves after each meeting.

    Args:
        random: draws from where.
        path: what is met, nearly in its middle.
        meetings: frames, in order.
    """
    turn = np.pi / 2 * (1 if random.random() < 0.5 else -1) + random.uniform(-0.6, 0.6)
    knots: list[Knot] = []
    place = path[meetings[0]] + _way_out(path[meetings[0]], turn)
    for frame in meetings:
        meeting = path[frame] + random.uniform(-8, 8, 2)
        way = meeting - place
        onward = _way_out(meeting, float(np.arctan2(way[1], way[0])))
        knots += [(frame - float(np.hypot(*way)) / PACE, *place), (frame, *meeting)]
        place = meeting + onward
        knots.append((frame + float(np.hypot(*onward)) / PACE, *place))
    frames, *places = np.asarray(knots).T
    return np.stack([smooth(np.interp(np.arange(len(path)), frames, p), 3.0) for p in places], axis=1)


def _way_out(place: npt.NDArray[Any], turn: float) -> npt.NDArray[Any]:
    """From a place in the frame straight on until a creature there is out of it, (2,) pixels."""
    ahead = np.array([np.cos(turn), np.sin(turn)])
    margin = 1.2 * HERO
    room = np.where(ahead > 0, np.array(SIZE) + margin - place, place + margin)
    return np.asarray(ahead * (room / np.maximum(np.abs(ahead), 1e-6)).min())
