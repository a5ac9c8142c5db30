"""What was said of each object of a video, and the tracks that follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from keepsight.api.archive import StateArchive
from keepsight.errors import PromptError
from keepsight.memory.bank import MemoryBank, MemoryEntry
from keepsight.memory.policy import MemoryPolicy
from keepsight.session.state import Prompted, SessionState, Track
from keepsight.types import Box, Mask, Points, Prompt

__all__ = ["BACKWARD", "FORWARD", "NOT_TRACKED", "Notebook", "Said", "Subject", "prompt_of"]

NOT_TRACKED, FORWARD, BACKWARD = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Said:
    """One prompted frame of one object, with the memory it left."""

    prompted: Prompted
    entry: MemoryEntry


@dataclass(frozen=True, eq=False)
class Subject:
    """One object: all that was ever said of it. `birth` tells it from an earlier one of the same id."""

    birth: object
    said: Mapping[int, Said]

    def fresh(self, policy: MemoryPolicy[Any], frame: int, *, forward: bool) -> Track[Any]:
        """The object known from its prompts alone; the one nearest to the frame starts it."""
        nearest = min(self.said, key=lambda f: abs(f - frame))
        nearest_said = self.said[nearest].prompted
        answer = nearest_said.answer
        entries = tuple(said.entry for _, said in sorted(self.said.items()))
        state = policy.begin(
            MemoryBank(entries, (), forward), answer.logits, ambiguous=nearest_said.clicks.ambiguous
        )
        return Track(None, state, answer, {f: said.prompted for f, said in self.said.items()})

    def informed(self, policy: MemoryPolicy[Any], track: Track[Any]) -> Track[Any]:
        """A track of the object that knows of every prompt, and of none that was taken back."""
        entries = [said.entry for said in self.said.values()]
        before = None
        if track.before is not None:
            # A correction does not recall itself: its frame counts only if it was prompted before.
            known = {e.frame for e in track.before.bank.conditioning} | {*self.said} - {track.answer.frame}
            before = policy.recondition(track.before, [e for e in entries if e.frame in known])
        prompted = {frame: said.prompted for frame, said in self.said.items()}
        return Track(before, policy.recondition(track.after, entries), track.answer, prompted)


@dataclass(frozen=True, eq=False)
class Notebook:
    """Everything that undo takes back."""

    subjects: Mapping[int, Subject]
    births: Mapping[int, Mapping[int, object]]  # by kept frame: whose tracks its state holds
    archive: StateArchive
    direction: bytes  # per frame, how it was last tracked

    @classmethod
    def empty(cls) -> "Notebook":
        """Of a video of which nothing was said."""
        return cls({}, {}, StateArchive(), b"")

    def is_prompted(self, frame: int) -> bool:
        """Whether something was said of any object on a frame."""
        return any(frame in subject.said for subject in self.subjects.values())

    def way(self, frame: int) -> int:
        """How a frame was last tracked: FORWARD, BACKWARD or NOT_TRACKED."""
        return self.direction[frame] if 0 <= frame < len(self.direction) else NOT_TRACKED

    def marked(self, frame: int, way: int) -> "Notebook":
        """The same after a frame was tracked."""
        marks = bytearray(self.direction.ljust(frame + 1, b"\0"))
        marks[frame] = way
        return replace(self, direction=bytes(marks))

    def living(self, state: SessionState[Any], frame: int) -> SessionState[Any]:
        """A kept state without objects that were removed since, even if their id was given again."""
        births, subjects = self.births[frame], self.subjects
        alive = {
            i: t for i, t in state.tracks.items() if i in subjects and births.get(i) is subjects[i].birth
        }
        return state.with_tracks(alive)

    def informed(self, policy: MemoryPolicy[Any], state: SessionState[Any]) -> SessionState[Any]:
        """A state that knows of every prompt given so far."""
        tracks = {}
        for i, subject in self.subjects.items():
            track = state.tracks.get(i)
            if track is None:
                tracks[i] = subject.fresh(policy, state.index or 0, forward=state.forward)
            else:
                tracks[i] = subject.informed(policy, track)
        return state.with_tracks(tracks)


def prompt_of(
    points: npt.ArrayLike | Points | None,
    labels: npt.ArrayLike | None,
    box: Box | tuple[float, float, float, float] | None,
    mask: npt.ArrayLike | Mask | None,
) -> Prompt:
    """One prompt out of the keyword arguments of `VideoTracker.prompt`."""
    if mask is not None:
        if points is not None or box is not None:
            raise PromptError(
                "Expected a mask alone, or points and a box, but got a mask together with others. "
                "Give the mask first and correct it with points in a second prompt."
            )
        return mask if isinstance(mask, Mask) else Mask(mask)
    parts: list[Points | Box] = []
    if box is not None:
        parts.append(box if isinstance(box, Box) else Box(*box))
    if points is not None:
        parts.append(points if isinstance(points, Points) else Points(points, labels))
    if not parts:
        raise PromptError(
            "Expected points, a box or a mask, but got none of them. For example box=(x1, y1, x2, y2)."
        )
    return parts
