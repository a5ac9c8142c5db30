"""What is sent to the server and what it answers."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "BothWaysBody",
    "CancelBody",
    "Changed",
    "ErrorAnswer",
    "ImportedAnswer",
    "ObjectAnswer",
    "ObjectBody",
    "ObjectPatch",
    "ProjectAnswer",
    "PromptBody",
    "ReviewAnswer",
    "RunAnswer",
    "RunBody",
    "SeenAnswer",
    "ShapeAnswer",
    "ShapeBody",
    "ShapesAnswer",
    "TimelineAnswer",
    "WalkAnswer",
]

LAST_FRAME = 2**31 - 1
MOST_POINTS = 2_000_000
"""Numbers of one shape: more than a mask with a run at every other pixel of a 4K frame's row."""

FrameNumber = Annotated[int, Field(ge=0, le=LAST_FRAME)]
ObjectNumber = Annotated[int, Field(ge=1, le=2**53)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
Kind = Literal["mask", "polygon", "rectangle"]
Box = Annotated[list[Pixel], Field(min_length=4, max_length=4)]


class _Body(BaseModel):
    """What is sent: nothing beyond what is known, and numbers that are numbers."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ObjectBody(_Body):
    """A new object."""

    kind: Kind
    name: Name | None = None
    colour: Colour | None = None
    tracked: bool | None = None


class ObjectPatch(_Body):
    """What is to be changed of an object; at least one thing."""

    name: Name | None = None
    colour: Colour | None = None
    shown: bool | None = None
    locked: bool | None = None
    tracked: bool | None = None
    kind: Kind | None = None


class PromptBody(_Body):
    """Clicks on a frame: points with one label each, a box, or both."""

    frame: FrameNumber
    points: Annotated[
        list[Annotated[list[Pixel], Field(min_length=2, max_length=2)]], Field(max_length=256)
    ] = []
    labels: Annotated[list[Literal[0, 1]], Field(max_length=256)] = []
    box: Box | None = None
    replace: bool = False


class ShapeBody(_Body):
    """A shape drawn by hand, in its object's kind."""

    frame: FrameNumber
    points: Annotated[
        list[Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]], Field(max_length=MOST_POINTS)
    ] = []
    outside: bool = False


class RunBody(_Body):
    """A run that is asked for."""

    objects: Annotated[list[ObjectNumber], Field(min_length=1, max_length=1000)] | Literal["visible"]
    frame: FrameNumber
    target: FrameNumber
    direction: Literal["forward", "backward", "both"] = "forward"
    model: Word | None = None
    policy: Word | None = None
    convert: bool = False


class CancelBody(_Body):
    """How a run is cancelled: whether what is done so far stays."""

    keep: bool


class BothWaysBody(_Body):
    """The object that is to be tracked back as well."""

    object: ObjectNumber


class ErrorAnswer(BaseModel):
    """What went wrong, in a sentence."""

    error: str


class Changed(BaseModel):
    """The project's revision after a change."""

    revision: int


class ShapeItem(BaseModel):
    """A shape of an object on a frame."""

    object: int
    frame: int
    source: Literal["manual", "prompted", "auto"]
    outside: bool
    points: list[float]
    score: float | None
    presence: float | None


class SeenItem(ShapeItem):
    """A shape, what its points are, and whether it lies between two keyframes."""

    kind: Literal["mask", "polygon", "rectangle"]
    interpolated: bool


class PromptItem(BaseModel):
    """What was said by clicks of an object on a frame."""

    object: int
    frame: int
    points: list[list[float]]
    labels: list[int]
    box: list[float] | None


class ObjectItem(BaseModel):
    """An object."""

    id: int
    name: str
    colour: str
    kind: Kind
    tracked: bool
    shown: bool
    locked: bool


class RunItem(BaseModel):
    """A run and how far it is."""

    id: int
    objects: list[int]
    frame: int
    target: int
    direction: Literal["forward", "backward", "both"]
    model: str
    policy: str
    convert: bool
    state: Literal["running", "done", "cancelled", "interrupted"]
    done: int
    total: int
    frame_now: int | None
    speed: float | None


class SourceItem(BaseModel):
    """The video."""

    name: str
    width: int
    height: int
    frames: int
    rate: float | None
    fingerprint: str


class ModelItem(BaseModel):
    """The model that answers clicks."""

    name: str
    state: Literal["loading", "ready", "failed"]
    error: str | None


class ProjectAnswer(BaseModel):
    """Everything but the shapes."""

    revision: int
    source: SourceItem
    model: ModelItem
    models: list[str]
    policies: list[str]
    policy: str
    objects: list[ObjectItem]
    undo: str | None
    redo: str | None
    run: RunItem | None
    unfinished: RunItem | None
    comparing: int | None
    notes: list[str]


class ObjectAnswer(Changed):
    """An object after a change."""

    object: ObjectItem


class ShapeAnswer(Changed):
    """A shape after a change, None where there is none now; and the clicks that gave it."""

    shape: ShapeItem | None
    prompt: PromptItem | None = None


class ShapesAnswer(BaseModel):
    """Stored shapes and clicks."""

    revision: int
    shapes: list[ShapeItem]
    prompts: list[PromptItem]


class SeenAnswer(BaseModel):
    """What is there on one frame."""

    revision: int
    shapes: list[SeenItem]
    prompts: list[PromptItem]


class TimelineItem(BaseModel):
    """One object's stored frames, in columns; `source` has one letter a frame: a, m, p."""

    object: int
    frames: list[int]
    score: list[float | None]
    presence: list[float | None]
    source: str
    outside: list[int]


class TimelineAnswer(BaseModel):
    """All objects over all frames."""

    revision: int
    objects: list[TimelineItem]


class RunAnswer(BaseModel):
    """A run."""

    revision: int
    run: RunItem


class WalkAnswer(Changed):
    """What was undone or done again."""

    name: str


class ReviewItem(BaseModel):
    """Frames on which an object's mask is likely wrong."""

    object: int
    start: int
    stop: int
    frame: int
    risk: float
    reasons: list[str]


class ReviewAnswer(BaseModel):
    """Stretches of frames worth a look, the likeliest wrong first."""

    revision: int
    stretches: list[ReviewItem]


class ImportedAnswer(Changed):
    """What a file brought."""

    objects: int
    shapes: int
    passed_over: int
