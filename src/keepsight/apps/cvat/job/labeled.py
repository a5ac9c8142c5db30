"""A job's annotations as values, whatever they were read from: CVAT's REST interface, its JSON or its XML."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from keepsight.apps.cvat.job.mark import Mark
from keepsight.apps.cvat.wire import Drawn

__all__ = ["Attributes", "Figure", "Item", "Job", "Key", "Label", "Shape", "Timeline", "Track"]

Key = int | str
"""What names a label or an attribute: its number in JSON, its name in XML."""

Attributes = tuple[tuple[Key, str], ...]


@dataclass(frozen=True)
class Figure:
    """What an object looks like on one frame: a keyframe of a track, or all of a shape.

    Attributes:
        frame: as the file or the server counts.
        kind: CVAT's type, "rectangle", "polygon", "mask" or one that is not tracked.
        points: as `Drawn` has them.
        rotation: of a rectangle, degrees clockwise about its centre.
        outside: whether the object is gone from here on.
        occluded: CVAT's flag.
        z_order: CVAT's layer.
        attributes: with their values; of a keyframe in JSON only those that may change.
        raw: what it was read from, which writers put back as it was; None for a figure that is new.
    """

    frame: int
    kind: str
    points: tuple[float, ...]
    rotation: float = 0.0
    outside: bool = False
    occluded: bool = False
    z_order: int = 0
    attributes: Attributes = ()
    raw: Any = field(default=None, compare=False, repr=False)

    @property
    def drawn(self) -> Drawn:
        """Its outline alone."""
        return Drawn(self.kind, self.points)


@dataclass(frozen=True)
class Shape:
    """An object on one frame only.

    Attributes:
        figure: how it looks.
        label: its label's key.
        group: objects of one group belong together; 0 for none.
        source: who made it: "manual", "auto", "semi-auto" (made by a program, then changed by hand), "file".
        id: what the server or the file calls it.
        raw: what it was read from.
    """

    figure: Figure
    label: Key
    group: int = 0
    source: str = "manual"
    id: int | None = None
    raw: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Track:
    """An object through time.

    Attributes:
        keyframes: in the order of their frames, at least one; between them CVAT interpolates.
        label: its label's key.
        group: as a shape's.
        source: as a shape's.
        attributes: in JSON those that never change; in XML keyframes carry all.
        id: what the server or the file calls it.
        raw: what it was read from.
    """

    keyframes: tuple[Figure, ...]
    label: Key
    group: int = 0
    source: str = "manual"
    attributes: Attributes = ()
    id: int | None = None
    raw: Any = field(default=None, compare=False, repr=False)

    @property
    def kind(self) -> str:
        """The type of its keyframes."""
        return self.keyframes[0].kind


Item = Shape | Track
"""Any object."""


@dataclass(frozen=True)
class Label:
    """What objects may be called.

    Attributes:
        key: what annotations call it.
        name: what people call it.
        mutable: the attributes that may change within a track; None where nobody said.
    """

    key: Key
    name: str
    mutable: frozenset[Key] | None = None


@dataclass(frozen=True)
class Timeline:
    """The frames of a job.

    Attributes:
        frames: those that are not deleted, ascending; at least one.
        first: the job's first frame, deleted or not.
        last: the job's last frame, deleted or not.
        step: between two frames.
    """

    frames: Sequence[int]
    first: int
    last: int
    step: int = 1

    def position(self, frame: int) -> int:
        """How many frames lie before this one, deleted ones counted: the same in JSON and XML of one job."""
        return (frame - self.first) // self.step

    def after(self, frame: int) -> int | None:
        """The next frame that is not deleted; None at the end."""
        return next((later for later in self.frames if later > frame), None)

    def between(self, start: int, target: int) -> list[int]:
        """The frames after `start` up to `target`, in that direction."""
        if target >= start:
            return [frame for frame in self.frames if start < frame <= target]
        return [frame for frame in reversed(self.frames) if target <= frame < start]


@dataclass(frozen=True)
class Job:
    """Everything that is annotated, and the frames it is annotated on.

    Attributes:
        name: for messages.
        timeline: its frames.
        labels: what objects may be called; empty where nobody said.
        shapes: objects on one frame.
        tracks: objects through time.
        mark: how written keyframes are told from hand-made ones.
        size: (width, height) of the frames, where it is known.
        highest_group: the highest number of a group in use.
        has_tracks: whether the form it goes back to knows tracks.
    """

    name: str
    timeline: Timeline
    labels: tuple[Label, ...]
    shapes: tuple[Shape, ...]
    tracks: tuple[Track, ...]
    mark: Mark
    size: tuple[int, int] | None = None
    highest_group: int = 0
    has_tracks: bool = True

    @property
    def items(self) -> list[Item]:
        """All objects, tracks first."""
        return [*self.tracks, *self.shapes]

    def label_name(self, key: Key) -> str:
        """What people call a label, as far as it is known."""
        return next((label.name for label in self.labels if label.key == key), str(key))

    def mutable(self, key: Key) -> frozenset[Key] | None:
        """The attributes of a label that may change within a track; None where nobody said."""
        return next((label.mutable for label in self.labels if label.key == key), None)
