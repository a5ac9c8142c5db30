"""The review queue of a project: what is stored of each object, watched for masks that are likely wrong.

It is made of what the project holds, so it may be made anew at any time. `keepsight.review` loads PyTorch;
until the worker has done that, nothing is ranked.
"""

import threading
import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keepsight.apps.annotator.passes import passes_of, remaining
from keepsight.apps.annotator.project import Kind, Project, Run, Shape, Subject
from keepsight.errors import PromptError
from keepsight.shapes import figure_to_mask
from keepsight.types import BoolArray, ObjectResult

if TYPE_CHECKING:
    from keepsight.review import Observation, ReviewQueue, Stretch

__all__ = ["Review", "covered", "print_of"]

PATIENCE_SECONDS = 3.0  # during a run, between two rankings


class Review:
    """Ranks the frames of a project; safe to use from any thread.

    Args:
        project: what is ranked.
        frames: of the video.
    """

    def __init__(self, project: Project, frames: int) -> None:
        self._project, self._frames = project, frames
        self._size = project.size
        self._busy = threading.Lock()
        self._queue: ReviewQueue | None = None
        self._known: dict[int, _Known] = {}
        self._stale: set[tuple[int, int]] = set()
        self._ranked: list[Stretch] = []
        self._ranked_at = -PATIENCE_SECONDS

    def note(self, event: dict[str, Any]) -> None:
        """Takes note of an event of the studio: what it names is looked at again."""
        places: list[tuple[int, int]] = []
        if event["type"] == "changed":
            places = [(number, frame) for number, frame in event["shapes"]]
        elif event["type"] == "run":
            places = [(shape["object"], shape["frame"]) for shape in event["shapes"]]
            places += [(number, frame) for number, frame in event["removed"]]
        self._stale.update(places)

    def stretches(self, number: int | None = None, *, running: bool = False) -> list["Stretch"]:
        """What to look at, the most rewarding first.

        Args:
            number: of this object only.
            running: whether a run is going on, which ranking all the time would hold up.
        """
        with self._busy:
            if not running or time.monotonic() - self._ranked_at >= PATIENCE_SECONDS:
                self._ranked = self._refreshed().stretches()
                self._ranked_at = time.monotonic()
            return [each for each in self._ranked if number is None or each.object_id == number]

    def _refreshed(self) -> "ReviewQueue":
        """The queue, brought up to date."""
        from keepsight.review import ReviewQueue

        queue = self._queue = self._queue or ReviewQueue()
        subjects = {subject.id: subject for subject in self._project.subjects()}
        stale, self._stale = self._stale, set()
        for number in [number for number in self._known if number not in subjects]:
            self._forget(queue, number)
        stored = self._stored()
        for number, subject in subjects.items():
            there, tracked = stored.get(number, set()), covered(self._project, number, self._frames)
            known = self._known.get(number)
            if known is None or known.kind != subject.kind or known.frames - there - tracked:
                # An observation cannot be taken back alone.
                self._forget(queue, number)
                self._known[number] = _Known(subject.kind, there | tracked)
                self._add_all(queue, subject)
            else:
                known.frames |= there | tracked
                for frame in sorted(f for n, f in stale if n == number and f < self._frames):
                    shape = self._project.shape(number, frame)
                    if shape is None:
                        queue.uncorrected(number, frame)
                    else:
                        self._add(queue, subject, shape)
            for frame in tracked - there:
                queue.add(number, _absent(frame))
        return queue

    def _forget(self, queue: "ReviewQueue", number: int) -> None:
        queue.forget(number)
        self._known.pop(number, None)

    def _stored(self) -> dict[int, set[int]]:
        stored: dict[int, set[int]] = {}
        for number, frame, *_ in self._project.marks():
            if frame < self._frames:
                stored.setdefault(number, set()).add(frame)
        return stored

    def _add_all(self, queue: "ReviewQueue", subject: Subject) -> None:
        shapes = self._project.shapes(0, self._frames, subject.id)
        for shape in shapes:
            self._add(queue, subject, shape)
        prints = {shape.frame: print_of(shape) for shape in shapes}
        agreed = self._project.agreements(subject.id)
        queue.compared(subject.id, {f: value for f, value, of in agreed if prints.get(f) == of})

    def _add(self, queue: "ReviewQueue", subject: Subject, shape: Shape) -> None:
        queue.add(subject.id, observed(subject.kind, shape, *self._size))
        if shape.hand_made:
            queue.corrected(subject.id, shape.frame)
        else:
            queue.uncorrected(subject.id, shape.frame)

    def compared(self, number: int, agreements: dict[int, float]) -> None:
        """Takes note of how far tracking forward and back agree, for good."""
        shapes = {shape.frame: shape for shape in self._project.shapes(number=number)}
        rows = [(f, value, print_of(shapes[f])) for f, value in agreements.items() if f in shapes]
        self._project.put_agreements(number, rows)
        with self._busy:
            if self._queue is not None:
                self._forget(self._queue, number)
            self._ranked_at = -PATIENCE_SECONDS


@dataclass
class _Known:
    """An object as it was ranked last: its kind, and the frames that there are observations of."""

    kind: Kind
    frames: set[int]


def covered(project: Project, number: int, frames: int) -> set[int]:
    """The frames of the video through which an object was tracked, whether it was found there or not."""
    return {
        frame
        for run in project.live_runs()
        if number in run.spec.objects
        for frame in _frames_of(run, frames)
    }


def _frames_of(run: Run, frames: int) -> set[int]:
    passes = passes_of(run.spec, frames)
    left = [] if run.state == "done" else remaining(passes, run.reached)

    def walked(each: Any) -> set[int]:
        return set(range(min(each.origin, each.last), max(each.origin, each.last) + 1)) - {each.origin}

    done = set().union(*(walked(each) for each in passes))
    return (done - set().union(*(walked(each) for each in left))) & set(range(frames))


def observed(kind: Kind, shape: Shape, height: int, width: int) -> "Observation":
    """A stored shape as the queue takes it.

    Only the part of the frame that it fills is painted.

    Args:
        kind: the shape's.
        shape: what is stored.
        height: of the frame in pixels; what reaches beyond is not seen.
        width: of the frame in pixels.
    """
    from keepsight.review import Observation

    cut = None if shape.outside or not shape.points else _cut(kind, shape.points, height, width)
    if cut is None:
        return _absent(shape.frame)
    mask, left, top = cut
    score, presence = (1.0 if value is None else value for value in (shape.score, shape.presence))
    found = Observation.of(shape.frame, ObjectResult(mask, score, presence, bool(mask.any())))
    if found.box is None:
        return found
    x1, y1, x2, y2 = found.box
    return replace(found, box=(x1 + left, y1 + top, x2 + left, y2 + top))


def _cut(kind: Kind, points: tuple[float, ...], height: int, width: int) -> tuple[BoolArray, int, int] | None:
    """A shape's pixels within its own box in the frame, and where that begins; None if it has none there."""
    if kind == "mask":
        *runs, left, top, right, bottom = (int(number) for number in points)
        right, bottom = right + 1, bottom + 1
        moved: tuple[float, ...] = (*runs, 0, 0, right - left - 1, bottom - top - 1)
    else:
        x, y = np.asarray(points[::2]), np.asarray(points[1::2])
        left, top = max(0, int(np.floor(x.min()))), max(0, int(np.floor(y.min())))
        right, bottom = min(width, int(np.ceil(x.max())) + 1), min(height, int(np.ceil(y.max())) + 1)
        moved = tuple(np.stack([x - left, y - top], axis=1).ravel().tolist())
    if left >= right or top >= bottom:
        return None
    try:
        return figure_to_mask(kind, moved, bottom - top, right - left), left, top
    except PromptError:  # It passes the frame by, or has no inside, as between two keyframes it may.
        return None


def _absent(frame: int) -> "Observation":
    from keepsight.review import Observation

    return Observation(frame, 0.0, 0.0, False, 0)


def print_of(shape: Shape) -> int:
    """A number that changes when a shape's points do."""
    return zlib.crc32(repr(shape.points).encode())
