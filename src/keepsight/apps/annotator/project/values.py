"""What a project holds, as values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = [
    "HAND_MADE",
    "KINDS",
    "Change",
    "Direction",
    "Fingerprint",
    "Kind",
    "Run",
    "RunSpec",
    "RunState",
    "Said",
    "Shape",
    "Source",
    "Subject",
]

Kind = Literal["mask", "polygon", "rectangle"]
Source = Literal["manual", "prompted", "auto"]
Direction = Literal["forward", "backward", "both"]
RunState = Literal["running", "done", "cancelled", "interrupted"]

KINDS: tuple[Kind, ...] = ("mask", "polygon", "rectangle")
HAND_MADE = ("manual", "prompted")
"""Sources of hand edits: a run starts from them and never overwrites them."""


@dataclass(frozen=True)
class Fingerprint:
    """What a video is known again by.

    Attributes:
        frames: how many can be read.
        width: pixels across.
        height: pixels down.
        bytes: of the file, or of all images together.
    """

    frames: int
    width: int
    height: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.frames}-{self.width}x{self.height}-{self.bytes}"


@dataclass(frozen=True)
class Subject:
    """An object: what all its shapes have in common.

    Attributes:
        id: its number, never given again.
        name: what people call it.
        colour: "#rrggbb".
        kind: of its shapes.
        tracked: whether its shapes are the keyframes of a track; else each stands for its frame alone.
        shown: whether it is drawn, and tracked with all that are.
        locked: whether it is kept from changes.
    """

    id: int
    name: str
    colour: str
    kind: Kind
    tracked: bool
    shown: bool = True
    locked: bool = False


@dataclass(frozen=True)
class Shape:
    """An object on a frame.

    Attributes:
        object: its object's id.
        frame: number from 0.
        source: "manual" (drawn by hand), "prompted" (answered to clicks) or "auto" (tracked).
        outside: whether it says that the object is not there; ends a track until the next keyframe.
        points: pixels of the frame; rectangle x1, y1, x2, y2; polygon x, y, x, y, ...; mask CVAT's runs,
            left, top, right, bottom.
        score: predicted IoU, 0..1, where the network said it; to six decimals, as is presence, since history
            keeps rows as JSON, where SQLite writes no more than fifteen digits.
        presence: probability that the object is there, 0..1, where the network said it.
    """

    object: int
    frame: int
    source: Source
    outside: bool
    points: tuple[float, ...]
    score: float | None = None
    presence: float | None = None

    def __post_init__(self) -> None:
        for name in ("score", "presence"):
            value: float | None = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, round(value, 6))

    @property
    def hand_made(self) -> bool:
        """Whether a person made it."""
        return self.source in HAND_MADE

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, and what goes to the page."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Shape":
        """What `to_json` wrote."""
        return cls(**{**values, "points": tuple(values["points"])})


@dataclass(frozen=True)
class Said:
    """All that was said by clicks of an object on one frame.

    Attributes:
        object: its id.
        frame: number from 0.
        points: x, y in pixels of the frame, in the order in which they were clicked.
        labels: one per point, 1 on the object, 0 beside it.
        box: x1, y1, x2, y2 or None.
        base: the shape that the clicks correct, or None where they began on an empty frame.
        between: whether the base was no shape of this frame, but seen between two keyframes.
    """

    object: int
    frame: int
    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    base: Shape | None = None
    between: bool = False

    @property
    def text(self) -> str:
        """The JSON that the table holds."""
        base = None if self.base is None else self.base.to_json()
        clicks = {"points": self.points, "labels": self.labels, "box": self.box}
        return json.dumps({**clicks, "base": base, "between": self.between})

    @classmethod
    def from_text(cls, number: int, frame: int, text: str) -> "Said":
        """What `text` gave."""
        values = json.loads(text)
        base, box = values.get("base"), values["box"]
        return cls(
            number,
            frame,
            tuple((x, y) for x, y in values["points"]),
            tuple(values["labels"]),
            None if box is None else tuple(box),
            None if base is None else Shape.from_json(base),
            bool(values.get("between")),
        )


@dataclass(frozen=True)
class RunSpec:
    """What a run was asked.

    Attributes:
        objects: ids, in the order of the project.
        frame: where it starts; this frame's shapes are what is tracked.
        target: the last frame. In both directions: it goes as far back as the target lies ahead, or the
            other way round.
        direction: "forward", "backward" or "both".
        model: a catalogue name.
        policy: a memory policy's name.
        convert: whether polygons that stood alone were made tracks.
        step: the history's step that takes it back.
    """

    objects: tuple[int, ...]
    frame: int
    target: int
    direction: Direction
    model: str
    policy: str
    convert: bool
    step: int = 0

    @property
    def text(self) -> str:
        """The JSON that the table holds."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "RunSpec":
        """What `text` gave."""
        values = json.loads(text)
        return cls(**{**values, "objects": tuple(values["objects"])})


@dataclass(frozen=True)
class Run:
    """A run and how far it got: `reached` is the last frame written, None before the first."""

    id: int
    spec: RunSpec
    state: RunState
    reached: int | None


@dataclass(frozen=True)
class Change:
    """What a change touched.

    Attributes:
        revision: the project's, after it.
        step: the history's step that it became, None if it became none.
        name: what it did, as people read it.
        objects: whether objects came, went or changed.
        shapes: object and frame of every shape or prompt that did.
    """

    revision: int
    step: int | None = None
    name: str = ""
    objects: bool = False
    shapes: tuple[tuple[int, int], ...] = ()
