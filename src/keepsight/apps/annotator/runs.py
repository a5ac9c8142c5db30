"""Runs: begun, watched, cancelled, gone on with."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from keepsight.apps.annotator.errors import BusyError, NoSuchError
from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.passes import checked, require_whole
from keepsight.apps.annotator.project import Change, Project, Run, RunSpec, Subject
from keepsight.apps.annotator.run import Running, Written
from keepsight.apps.annotator.worker import Job, JobEnd, Worker
from keepsight.errors import KeepsightError, UsageError
from keepsight.video import FrameSource

__all__ = ["Runs", "change_event", "run_json"]

NAME = "tracking"


class Runs:
    """The runs of a project, at most one at a time.

    Args:
        project: what they write to.
        frames: of the video.
        opened: opens the video, for a thread of its own.
        worker: what they run on.
        changing: held by whoever changes the project.
        tell: is handed every event.
    """

    def __init__(
        self,
        project: Project,
        frames: int,
        opened: Callable[[], FrameSource],
        worker: Worker,
        changing: threading.Lock,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        self._project, self._frames, self._opened = project, frames, opened
        self._worker, self._tell = worker, tell
        self._running: Running | None = None
        self._keep = True
        self._changing = changing

    @property
    def current(self) -> Running | None:
        """The run that is going on."""
        return self._running

    def require_idle(self, number: int | None = None) -> None:
        """Refuses what cannot be done during a run, or during a run of one object.

        Raises:
            BusyError: it is going on.
        """
        running = self._running
        if running is not None and (number is None or number in running.run.spec.objects):
            raise BusyError("A run is going on. Wait until it is done, or cancel it first.")

    def edited(self, number: int, frame: int) -> None:
        """Tells the run of a hand edit."""
        running = self._running
        if running is not None:
            running.fresh.append((number, frame))

    def begin(self, spec: RunSpec) -> Running:
        """Begins a run.

        Args:
            spec: what is asked; no objects means all that can be seen on its first frame.

        Raises:
            UsageError: start or target are wrong, or there is nothing to track.
            NoSuchError: there is no such object.
            BusyError: a run is going on, or an object is locked.
            ModelNotReadyError: the model is still being loaded, or could not be.
        """
        with self._changing:
            self._worker.require_free()
            self._worker.require_ready(spec.model)
            subjects = self._chosen(checked(spec, self._frames))
            spec = replace(spec, objects=tuple(subject.id for subject in subjects))
            with self._project.begin_run(spec, NAME) as (write, run):
                for subject in subjects:
                    if spec.convert and subject.kind == "polygon" and not subject.tracked:
                        write.put_subject(replace(subject, tracked=True))
                    shape = seen(self._project, subject, spec.frame)
                    if shape is not None and self._project.shape(subject.id, spec.frame) is None:
                        # What was seen between two keyframes stays as it is when new ones follow.
                        write.put_shape(shape)
            return self._start(run, write.done)

    def resume(self) -> Running:
        """Goes on with the run that an earlier server left unfinished.

        Raises:
            NoSuchError: there is none.
            BusyError: a run is going on, or the video lacks frames that this one needs; it stays unfinished.
        """
        with self._changing:
            self._worker.require_free()
            left = self._left()
            require_whole(left, self._frames)
            self._worker.require_ready(left.spec.model)
            run = self._project.resume_run(left, NAME)
            known = {subject.id for subject in self._project.subjects()}
            run = replace(
                run, spec=replace(run.spec, objects=tuple(n for n in run.spec.objects if n in known))
            )
            return self._start(run, None)

    def forget(self) -> Change:
        """Leaves an unfinished run as it is.

        Raises:
            NoSuchError: there is none.
        """
        with self._changing:
            return self._project.end_run(self._left().id, "cancelled")

    def cancel(self, *, keep: bool) -> None:
        """Ends the run, or another job that is going on, after the frame it is at.

        Args:
            keep: whether what a run wrote stays; else all is as it was before it.

        Raises:
            NoSuchError: none is going on.
        """
        if not self._worker.busy:
            raise NoSuchError("Expected a run that is going on, but there is none.")
        self._keep = keep
        self._worker.cancel()

    def _chosen(self, spec: RunSpec) -> list[Subject]:
        """The objects to track; all must be seen on the first frame."""
        if not spec.objects:
            there = [s for s in self._project.subjects() if s.shown and not s.locked]
            there = [s for s in there if seen(self._project, s, spec.frame) is not None]
            if not there:
                raise UsageError(
                    f"Expected something to track, but no object that is shown and unlocked has a shape on "
                    f"frame {spec.frame}. Click on an object or draw it first."
                )
            return there
        chosen = [self._project.subject(number) for number in dict.fromkeys(spec.objects)]
        for subject in chosen:
            if subject.locked:
                raise BusyError(f"{subject.name} is locked. Unlock it first.")
            if seen(self._project, subject, spec.frame) is None:
                raise UsageError(
                    f"Expected {subject.name} to have a shape on frame {spec.frame}, but it has none. Click "
                    f"on it or draw it there first."
                )
        return chosen

    def _left(self) -> Run:
        run = self._project.unfinished()
        if run is None:
            raise NoSuchError("Expected an unfinished run, but there is none.")
        return run

    def _start(self, run: Run, change: Change | None) -> Running:
        running = Running(self._project, run, self._frames)
        self._running, self._keep = running, True
        self._worker.begin(
            Job("A run", self._pieces(running), lambda how, error: self._ended(running, how, error))
        )
        if change is not None and (change.objects or change.shapes):
            self._tell_change(change)
        self._tell_of(running)
        return running

    def _pieces(self, running: Running) -> Iterator[None]:
        for written in running.frames(self._worker.network(running.run.spec.model), self._opened):
            if written is not None:
                self._tell_of(running, written)
            yield

    def _ended(
        self,
        running: Running,
        how: JobEnd,
        error: BaseException | None,
    ) -> None:
        if error is not None and running.run.reached is None:
            how = "cancelled"  # Nothing came of it, so there is nothing to go on with.
        keep = self._keep if error is None and how == "cancelled" else how != "cancelled"
        try:
            change = self._project.end_run(running.run.id, how, keep=keep)
        except KeepsightError as second:
            # A full disk: the next start finds the run as interrupted.
            error, change = error or second, Change(self._project.revision)
        running.run = replace(running.run, state=how)
        if self._running is running:  # Else the next one has begun already.
            self._running = None
        self._tell_of(running, revision=change.revision, error=error)
        if not keep:
            self._tell_change(change)

    def _tell_change(self, change: Change) -> None:
        self._tell(change_event(change))

    def _tell_of(
        self,
        running: Running,
        written: Written | None = None,
        *,
        revision: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        if written is not None:
            revision = written.change.revision
        self._tell(
            {
                "type": "run",
                "revision": self._project.revision if revision is None else revision,
                "run": {**run_json(running), "error": None if error is None else str(error)},
                "shapes": [] if written is None else [shape.to_json() for shape in written.shapes],
                "removed": [] if written is None else [list(place) for place in written.removed],
            }
        )


def change_event(change: Change) -> dict[str, Any]:
    """What everybody is told of a change."""
    return {
        "type": "changed",
        "revision": change.revision,
        "objects": change.objects,
        "shapes": [list(place) for place in change.shapes],
    }


def run_json(running: Running) -> dict[str, Any]:
    """A run as the page is told of it."""
    spec, progress = running.run.spec, running.progress
    return {
        "id": running.run.id,
        "objects": list(spec.objects),
        "frame": spec.frame,
        "target": spec.target,
        "direction": spec.direction,
        "model": spec.model,
        "policy": spec.policy,
        "convert": spec.convert,
        "state": running.run.state,
        "done": progress.done,
        "total": progress.total,
        "frame_now": progress.frame_now,
        "speed": progress.speed,
    }
