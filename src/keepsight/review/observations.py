"""What is kept of an object's frames: numbers, not pictures; some hundred bytes a frame, and plain JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keepsight.errors import UsageError
from keepsight.types import BoolArray, ObjectResult

__all__ = ["Observation", "Series", "Trail"]

FloatArray = npt.NDArray[np.float64]

SIDE = 16  # cells along a silhouette's side
NOWHERE = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Observation:
    """One object on one frame, as the engine saw it.

    Attributes:
        frame: the frame's number.
        score: predicted IoU, 0..1.
        presence: probability that the object is there, 0..1.
        visible: whether it is present and its mask has a pixel.
        area: pixels of the mask.
        box: the mask's tight box (x1, y1, x2, y2) in pixels; None if the mask is empty.
        silhouette: the mask within its box at 16 x 16 cells, row by row, eight cells to a byte; empty if the
            mask is.
    """

    frame: int
    score: float
    presence: float
    visible: bool
    area: int
    box: tuple[float, float, float, float] | None = None
    silhouette: bytes = b""

    @classmethod
    def of(cls, frame: int, result: ObjectResult) -> "Observation":
        """What is kept of a result."""
        box = result.box
        return cls(
            frame,
            float(result.score),
            float(result.presence),
            bool(result.visible),
            int(np.count_nonzero(result.mask)),
            box,
            b"" if box is None else _silhouette(result.mask, box),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes back without loss."""
        return {
            "frame": self.frame,
            "score": self.score,
            "presence": self.presence,
            "visible": self.visible,
            "area": self.area,
            "box": None if self.box is None else list(self.box),
            "silhouette": self.silhouette.hex(),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Observation":
        """The observation that `to_json` wrote.

        Raises:
            UsageError: it is none.
        """
        try:
            box = entry["box"]
            made = cls(
                int(entry["frame"]),
                float(entry["score"]),
                float(entry["presence"]),
                bool(entry["visible"]),
                int(entry["area"]),
                None if box is None else _box(box),
                bytes.fromhex(entry["silhouette"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"Expected an observation as Observation.to_json writes it, but got {entry!r}. Track the "
                f"frames anew and observe them."
            ) from error
        if len(made.silhouette) not in (0, SIDE * SIDE // 8):
            raise UsageError(
                f"Expected a silhouette of {SIDE * SIDE // 8} bytes, or none, but got "
                f"{len(made.silhouette)}. Track the frames anew and observe them."
            )
        return made


class Series(NamedTuple):
    """One object's observations as columns, in the order of its N frames.

    Attributes:
        frames: (N,) numbers, ascending.
        scores: (N,) predicted IoU, 0..1.
        presences: (N,) 0..1.
        visible: (N,) bool.
        areas: (N,) pixels.
        boxes: (N, 4) x1, y1, x2, y2 in pixels, zeros where the mask is empty.
        silhouettes: (N, 256) bool.
        told: the frames on which a person said what is there, observed or not.
        agreements: (N,) IoU of tracking forward and back, 0..1; NaN where it is not known.
    """

    frames: npt.NDArray[np.int64]
    scores: FloatArray
    presences: FloatArray
    visible: BoolArray
    areas: FloatArray
    boxes: FloatArray
    silhouettes: BoolArray
    told: frozenset[int]
    agreements: FloatArray

    @property
    def is_told(self) -> BoolArray:
        """(N,) whether a person said what is there."""
        return np.isin(self.frames, sorted(self.told))

    @property
    def tracked_back(self) -> BoolArray:
        """(N,) whether nothing was said on the frame or before it, so that it was tracked from later ones."""
        return self.frames < min(self.told, default=0)

    @property
    def adjoining(self) -> BoolArray:
        """(N,) whether the frame before was observed too; False for the first."""
        joined = np.zeros(len(self.frames), np.bool_)
        joined[1:] = np.diff(self.frames) == 1
        return joined


@dataclass
class Trail:
    """All that is known of one object.

    Attributes:
        observations: by frame; a frame tracked again takes the place of what was seen there before.
        told: the frames on which a person said what is there.
        agreements: by frame, IoU of tracking forward and back, where that was asked for.
    """

    observations: dict[int, Observation] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    agreements: dict[int, float] = field(default_factory=dict)

    def add(self, observation: Observation) -> None:
        """Notes what was seen on a frame, now or again.

        Where it is another mask than before, it is not known any more how the ways agree.
        """
        if self.observations.get(observation.frame) != observation:
            self.agreements.pop(observation.frame, None)
        self.observations[observation.frame] = observation

    def series(self) -> Series:
        """The observations as columns."""
        rows = [self.observations[frame] for frame in sorted(self.observations)]
        empty = bytes(SIDE * SIDE // 8)
        cells = np.frombuffer(b"".join(row.silhouette or empty for row in rows), np.uint8)
        return Series(
            np.array([row.frame for row in rows], np.int64),
            _column(row.score for row in rows),
            _column(row.presence for row in rows),
            np.array([row.visible for row in rows], np.bool_),
            _column(row.area for row in rows),
            np.array([row.box or NOWHERE for row in rows], np.float64).reshape(-1, 4),
            np.unpackbits(cells).reshape(-1, SIDE * SIDE).astype(np.bool_),
            frozenset(self.told),
            _column(self.agreements.get(row.frame, float("nan")) for row in rows),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` takes back without loss."""
        return {
            "observations": [self.observations[frame].to_json() for frame in sorted(self.observations)],
            "told": sorted(self.told),
            "agreements": [[frame, value] for frame, value in sorted(self.agreements.items())],
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Trail":
        """The trail that `to_json` wrote.

        Raises:
            UsageError: it is none.
        """
        try:
            seen = [Observation.from_json(row) for row in entry["observations"]]
            told = {int(frame) for frame in entry["told"]}
            agreements = {int(frame): float(value) for frame, value in entry["agreements"]}
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(
                f"Expected a trail as Trail.to_json writes it, but it cannot be read: {error!r}. Track the "
                f"object anew and observe it."
            ) from error
        return cls({row.frame: row for row in seen}, told, agreements)


def _column(values: Iterable[float]) -> FloatArray:
    return np.fromiter(values, np.float64)


def _box(values: Iterable[Any]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in values)
    return x1, y1, x2, y2


def _silhouette(mask: BoolArray, box: tuple[float, float, float, float]) -> bytes:
    """The mask at the centres of the box's cells."""
    x1, y1, x2, y2 = box
    centres = (np.arange(SIDE) + 0.5) / SIDE
    rows = (y1 + centres * (y2 - y1)).astype(np.int64)
    columns = (x1 + centres * (x2 - x1)).astype(np.int64)
    return np.packbits(mask[np.ix_(rows, columns)]).tobytes()
