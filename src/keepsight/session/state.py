"""The state of a session: immutable values, so that a snapshot is a name and a restore an assignment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, TypeVar

from torch import Tensor

from keepsight.memory.policy import PolicyState
from keepsight.session.clicks import Clicks

__all__ = ["Answer", "Prompted", "SessionState", "Track"]

S = TypeVar("S", bound=PolicyState)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network said of one object on one frame.

    Attributes:
        frame: the frame's number.
        logits: (1, 4h, 4w) float32 mask logits.
        iou: predicted IoU, 0..1.
        presence: presence logit.
        tracked: whether tracking has passed over the frame, so that a further prompt is a correction.
    """

    frame: int
    logits: Tensor
    iou: float
    presence: float
    tracked: bool


@dataclass(frozen=True, eq=False)
class Prompted:
    """A frame on which a person said something: the clicks so far, and the answer to them."""

    clicks: Clicks
    answer: Answer


@dataclass(frozen=True, eq=False)
class Track(Generic[S]):
    """One object.

    Attributes:
        before: the policy's state with which `answer` was found; what a correction of it starts from.
        after: the policy's state with `answer` remembered.
        answer: of the frame looked at last.
        prompted: by frame number.
    """

    before: S | None
    after: S
    answer: Answer
    prompted: Mapping[int, Prompted]


@dataclass(frozen=True, eq=False)
class SessionState(Generic[S]):
    """A session between two frames.

    Attributes:
        index: the frame looked at last; None before the first.
        forward: whether frames come in ascending order.
        size: (height, width) of the video's frames; None before the first.
        tracks: by object id, in the order in which the objects joined.
    """

    index: int | None = None
    forward: bool = True
    size: tuple[int, int] | None = None
    tracks: Mapping[int, Track[S]] = field(default_factory=lambda: MappingProxyType({}))

    def without(self, object_id: int) -> "SessionState[S]":
        """The state with one object forgotten."""
        return self.with_tracks({i: t for i, t in self.tracks.items() if i != object_id})

    def with_tracks(self, tracks: Mapping[int, Track[S]]) -> "SessionState[S]":
        """The state with other tracks."""
        return replace(self, tracks=MappingProxyType(dict(tracks)))
