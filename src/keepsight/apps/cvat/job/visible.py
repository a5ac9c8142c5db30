"""What a track shows on a frame, between its keyframes too, as CVAT draws it."""

from bisect import bisect_right
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keepsight.apps.cvat.job.labeled import Figure, Track

__all__ = ["Seen", "governing", "seen"]


class Seen(NamedTuple):
    """A track on a frame.

    Attributes:
        figure: how it looks there.
        keyframe: whether it has a keyframe there.
        note: what a reader should know about how it was found, or nothing.
    """

    figure: Figure
    keyframe: bool
    note: str = ""


def governing(track: Track, frame: int) -> Figure | None:
    """The last keyframe at or before a frame; None before the track begins."""
    place = bisect_right(track.keyframes, frame, key=lambda figure: figure.frame)
    return track.keyframes[place - 1] if place else None


def seen(track: Track, frame: int) -> Seen | None:
    """What the track shows on a frame; None where it has not begun or is outside.

    Rectangles move in a straight line from keyframe to keyframe and turn the shorter way round. A polygon's
    points do where CVAT would match them one to one. Where it would not (other numbers of points, or lengths
    that are divided otherwise), the last keyframe's polygon is taken, and the note says so.
    """
    before = governing(track, frame)
    if before is None or before.outside:
        return None
    if before.frame == frame:
        return Seen(before, True)
    here = replace(before, frame=frame, raw=None)
    after = next((figure for figure in track.keyframes if figure.frame > frame), None)
    if after is None or after.kind != before.kind or before.points == after.points:
        return Seen(here, False)
    if before.kind == "polygon" and not _one_to_one(before.points, after.points):
        return Seen(
            here,
            False,
            f"its polygons on frames {before.frame} and {after.frame} have points that do not match one to "
            f"one, so the one of frame {before.frame} was taken as it is",
        )
    share = (frame - before.frame) / (after.frame - before.frame)
    points = np.asarray(before.points) * (1 - share) + np.asarray(after.points) * share
    turn = (after.rotation - before.rotation + 180) % 360 - 180
    rotation = (before.rotation + turn * share) % 360
    return Seen(replace(here, points=tuple(points.tolist()), rotation=rotation), False)


def _one_to_one(before: tuple[float, ...], after: tuple[float, ...]) -> bool:
    """Whether CVAT would match each point with the point of the same number.

    It takes each point's share of the polygon's length and looks for the nearest share on the other side.
    """
    if len(before) != len(after):
        return False
    one, two = _shares(before), _shares(after)
    nearest = abs(one[:, None] - two[None, :]).argmin(axis=1)
    return bool((nearest == np.arange(len(one))).all())


def _shares(points: tuple[float, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Each point's share of the closed polygon's length, 0..1, the first point's again at the end."""
    ring = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    sides = np.hypot(*np.diff(np.concatenate([ring, ring[:1]]), axis=0).T)
    length = np.concatenate([[0.0], np.cumsum(sides)])
    shares: np.ndarray[tuple[int], np.dtype[np.float64]] = length / max(length[-1], 1e-12)
    return shares
