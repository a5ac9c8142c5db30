"""How a keyframe that keepsight wrote is told from one made by hand.

CVAT keeps the source of a track, not of its keyframes: a track that a person corrected on one frame is
"semi-auto" as a whole, and whoever tracks it again cannot know which keyframes are the person's. So keepsight
signs what it writes, in the fractions of the coordinates: each of the first twelve carries a digit of a
checksum over the kind of shape, the frame's place in the job, whether it is outside, the rotation and all
coordinates. A person who moves a single point, turns the shape or marks it as outside breaks the checksum,
and the keyframe counts as made by hand. Flags and attributes are not part of it, since they are kept anyway.

Over REST and in JSON the digits lie below a hundredth of a pixel, which is as much as CVAT shows: rounded to
that the coordinates are what was found. In XML, which has two decimals, they are at most 0.12 pixels. CVAT
keeps coordinates as they are given, so both survive on a server; its XML export drops the finer ones, and
keyframes exported so count as made by hand.

Chance: that a hand's rectangle passes for a written one happens to 1 in 6 million, in XML to 1 in 28,000, if
its edges lie on the grid as only a drag by whole pixels leaves them; to polygons far less often.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepsight.apps.cvat.job.labeled import Figure

__all__ = ["COARSE", "FINE", "Mark", "is_marked"]

SIGNED = 12  # coordinates that carry a digit
EXACT = 0.01  # units; how far a coordinate may lie from the value that was written


@dataclass(frozen=True)
class Mark:
    """A way to sign.

    Attributes:
        units: in a pixel, the smallest step of a coordinate.
        grid: units between two places that a coordinate is rounded to; above twice the largest digit.
        base: digits go from 0 to base - 1.
    """

    units: int
    grid: int
    base: int

    def put(self, figure: Figure, position: int) -> Figure:
        """The figure, signed: its coordinates rounded to the grid, then moved inward by their digits.

        Args:
            figure: a rectangle or polygon.
            position: its frame's place in the job.
        """
        places = [round(point * self.units / self.grid) for point in figure.points]
        middles = [(min(axis) + max(axis)) / 2 for axis in (places[::2], places[1::2])]
        signed = [
            (place * self.grid + (digit if place <= middles[i % 2] else -digit)) / self.units
            for i, (place, digit) in enumerate(
                zip(places, self._digits(figure, position, places), strict=True)
            )
        ]
        return replace(figure, points=tuple(signed), raw=None)

    def fits(self, figure: Figure, position: int) -> bool:
        """Whether the figure was signed so, and not changed since."""
        numbers = [point * self.units for point in figure.points]
        wholes = [round(number) for number in numbers]
        if any(abs(number - whole) > EXACT for number, whole in zip(numbers, wholes, strict=True)):
            return False
        places = [round(whole / self.grid) for whole in wholes]
        found = [abs(whole - place * self.grid) for whole, place in zip(wholes, places, strict=True)]
        return found == self._digits(figure, position, places)

    def _digits(self, figure: Figure, position: int, places: list[int]) -> list[int]:
        """A digit for every coordinate, 0 for those that carry none."""
        content = (figure.kind, position, figure.outside, round(figure.rotation * 100), places)
        check = blake2b(repr(content).encode(), digest_size=4 * SIGNED).digest()
        digits = [int.from_bytes(check[4 * i : 4 * i + 4], "big") % self.base for i in range(SIGNED)]
        return (digits + [0] * len(places))[: len(places)]


FINE = Mark(units=10_000, grid=100, base=50)
COARSE = Mark(units=100, grid=25, base=13)


def is_marked(figure: Figure, position: int) -> bool:
    """Whether keepsight wrote a keyframe, and no hand has changed its outline since.

    Args:
        figure: the keyframe.
        position: its frame's place in the job.
    """
    return figure.kind != "mask" and any(mark.fits(figure, position) for mark in (FINE, COARSE))
