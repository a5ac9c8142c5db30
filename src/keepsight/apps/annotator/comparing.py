"""Tracking back what was tracked, to see where the two ways part: on request, and as long as a run."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.project import Project, Subject
from keepsight.apps.annotator.reviewing import Review, covered
from keepsight.apps.annotator.worker import Job, JobEnd, Worker
from keepsight.errors import UsageError
from keepsight.shapes import figure_to_mask
from keepsight.types import BoolArray

if TYPE_CHECKING:
    from keepsight.nn.io import VideoNetwork

__all__ = ["Comparing"]

NAME = "Tracking back for the review"


class Comparing:
    """Compares tracking forward and back, one object at a time, as a job of the worker.

    Args:
        project: what was tracked.
        clip: its video.
        worker: what does it.
        review: is told of the result.
        changing: held while a job is begun, here and by runs: one of them finds the worker free.
        tell: is handed the event when it is there.
    """

    def __init__(
        self,
        project: Project,
        clip: Clip,
        worker: Worker,
        review: Review,
        changing: threading.Lock,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._project, self._clip, self._worker = project, clip, worker
        self._review, self._changing, self._tell = review, changing, tell
        self.object: int | None = None  # that is being compared

    def begin(self, number: int, policy: str) -> None:
        """Begins to track an object back, with the model and policy that it was tracked with last.

        Args:
            number: the object.
            policy: a memory policy's name, for an object that was not tracked here.

        Raises:
            NoSuchError: there is no such object.
            UsageError: it has no tracked frames.
            BusyError: another job is going on.
            ModelNotReadyError: the model is not there.
        """
        subject = self._project.subject(number)
        tracked = [
            frame
            for marked, frame, source, *_ in self._project.marks()
            if marked == number and source == "auto" and frame < self._clip.frames
        ]
        if not tracked:
            raise UsageError(
                f"Expected {subject.name} to have tracked frames, but it has none. Track it first."
            )
        model = self._worker.model.name
        for run in self._project.live_runs():
            if number in run.spec.objects:
                model, policy = run.spec.model, run.spec.policy
        pieces = self._pieces(subject, model, policy, min(tracked), max(tracked))
        with self._changing:
            self._worker.require_free()
            self._worker.require_ready(model)
            self._worker.begin(Job(NAME, pieces, lambda how, error: self._ended(number, how, error)))
            self.object = number

    def _pieces(self, subject: Subject, model: str, policy: str, first: int, last: int) -> Iterator[None]:
        network: VideoNetwork = self._worker.network(model)
        from keepsight.api import VideoTracker
        from keepsight.review import track_back

        gone = covered(self._project, subject.id, self._clip.frames)

        def forward(number: int, frame: int) -> BoolArray | None:
            return self._mask(subject, frame, absent=frame in gone)

        with VideoTracker(self._clip.opened(), model=network, policy=policy, undo_depth=0) as tracker:
            found = track_back(
                tracker,
                forward,
                (subject.id,),
                first=first,
                last=last,
                watch=lambda result: self._worker.breathe(),
            )
        self._review.compared(subject.id, found[subject.id])
        yield

    def _mask(self, subject: Subject, frame: int, *, absent: bool) -> BoolArray | None:
        """An object's mask as it was tracked: empty where it was found to be absent, None where unknown."""
        height, width = self._clip.info.height, self._clip.info.width
        shape = seen(self._project, subject, frame)
        if shape is not None:
            return figure_to_mask(subject.kind, shape.points, height, width)
        stored = self._project.shape(subject.id, frame)
        return np.zeros((height, width), np.bool_) if absent or stored is not None else None

    def _ended(self, number: int, how: JobEnd, error: BaseException | None) -> None:
        with self._changing:  # whoever began it may still be about to say so
            self.object = None
        event: dict[str, Any] = {"type": "review", "revision": self._project.revision, "object": number}
        self._tell({**event, "state": how, "error": None if error is None else str(error)})
