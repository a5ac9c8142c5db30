"""What can be done to a project, whoever asks for it."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.comparing import Comparing
from keepsight.apps.annotator.conversion import converted
from keepsight.apps.annotator.desk import Desk
from keepsight.apps.annotator.drawing import drawn, free_colour
from keepsight.apps.annotator.errors import BusyError, NoSuchError
from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.project import (
    Change,
    Kind,
    Project,
    RunSpec,
    Said,
    Shape,
    Source,
    Subject,
    Writer,
)
from keepsight.apps.annotator.reviewing import Review
from keepsight.apps.annotator.run import Running
from keepsight.apps.annotator.runs import Runs, change_event
from keepsight.apps.annotator.worker import ModelState, Worker
from keepsight.errors import FrameIndexError, PromptError
from keepsight.shapes import mask_to_figure

if TYPE_CHECKING:
    from keepsight.apps.annotator.exchange import Incoming
    from keepsight.nn.io import VideoNetwork

__all__ = ["Studio"]

Event = dict[str, Any]


class Studio:
    """The project of one video and the worker that tracks in it; safe to use from any thread.

    Args:
        project: open.
        clip: its video.
        load: loads a model by name.
        model: the model that clicks are answered by, and runs unless they name another.
        policy: the memory policy of runs that name none.
    """

    def __init__(
        self,
        project: Project,
        clip: Clip,
        load: Callable[[str], "VideoNetwork"],
        *,
        model: str = "pocket",
        policy: str = "sam2",
    ) -> None:
        self.project, self.clip, self.policy = project, clip, policy
        self.worker = Worker(load, model, self._tell_model)
        self._changing = threading.Lock()
        self.runs = Runs(project, clip.frames, clip.opened, self.worker, self._changing, self._tell)
        self.review = Review(project, clip.frames)
        self.comparing = Comparing(project, clip, self.worker, self.review, self._changing, self._tell)
        self._desk = Desk(clip.opened)
        self._listeners: list[Callable[[Event], None]] = []
        self._telling = threading.Lock()
        self._made = (0, 0)  # the newest object that has no shape yet, and its step

    def start(self) -> None:
        """Begins to load the model; nothing when it has begun already."""
        self.worker.start()

    def close(self) -> None:
        """Ends the worker and closes the project; a run that is going on can be gone on with."""
        self.worker.close()
        self._desk.close()
        self.project.close()

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Hands every event to a function, on the thread on which it happens; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def add_subject(
        self, kind: Kind, *, name: str | None = None, colour: str | None = None, tracked: bool | None = None
    ) -> tuple[Subject, Change]:
        """A new object. Its shapes are a track unless told otherwise; masks stand alone."""
        with self._changing, self.project.change("new object") as write:
            used = Counter(subject.colour for subject in self.project.subjects())
            tracked = kind != "mask" if tracked is None else tracked
            subject = Subject(0, name or "", colour or free_colour(used), kind, tracked)
            subject = write.add_subject(subject)
            if not name:
                subject = replace(subject, name=f"object {subject.id}")
                write.put_subject(subject)
        self._made = subject.id, write.step
        return subject, self._changed(write.done)

    def change_subject(self, number: int, wanted: dict[str, Any]) -> tuple[Subject, Change]:
        """Changes an object; a new kind converts its shapes.

        Raises:
            NoSuchError: there is no such object.
            BusyError: its kind or form is changed while it is locked or being tracked.
        """
        with self._changing:
            before = self.project.subject(number)
            subject = replace(before, **wanted)
            if (subject.kind, subject.tracked) != (before.kind, before.tracked):
                self._require_unlocked(subject)
                self.runs.require_idle(number)
            with self.project.change(_name_of_change(before, subject)) as write:
                if subject != before:
                    write.put_subject(subject)
                if subject.kind != before.kind:
                    self._convert(write, before, subject.kind)
            return subject, self._changed(write.done)

    def drop_subject(self, number: int) -> Change:
        """Removes an object with all that belongs to it.

        Raises:
            NoSuchError: there is no such object.
            BusyError: it is locked.
        """
        with self._changing:
            subject = self._unlocked(number)
            with self.project.change(f"delete {subject.name}") as write:
                write.drop_subject(number)
            self.runs.edited(number, 0)
            return self._changed(write.done)

    def prompt(
        self,
        number: int,
        frame: int,
        points: Sequence[tuple[float, float]],
        labels: Sequence[int],
        box: tuple[float, float, float, float] | None,
        *,
        replaced: bool = False,
    ) -> tuple[Shape, Said, Change]:
        """Says by clicks which object is meant on a frame; the answer is its shape there.

        Clicks add to those given before on this frame. Where a shape is seen that no clicks gave, it is what
        they correct.

        Args:
            number: the object.
            frame: the frame.
            points: x, y in pixels.
            labels: one per point, 1 on the object, 0 beside it.
            box: x1, y1, x2, y2.
            replaced: forget the earlier clicks on this frame first.

        Raises:
            PromptError: nothing is said, it does not fit the frame, or nothing is found there.
            ModelNotReadyError: the model is still being loaded.
            NoSuchError, BusyError: there is no such object, or it is locked.
        """
        self._unlocked(number)
        self._require_frame(frame)
        if not points and box is None:
            raise PromptError("Expected points or a box, but got neither. Click on the object.")
        new = Said(number, frame, tuple(points), tuple(labels), box)
        return self.worker.ask(lambda network: self._answer(network, new, replaced))

    def unprompt(self, number: int, frame: int) -> tuple[Shape | None, Change]:
        """Takes back all clicks on a frame: what they corrected is there again.

        Raises:
            NoSuchError: there is no such object, or nothing was clicked.
            BusyError: it is locked.
        """
        with self._changing:
            self._unlocked(number)
            said = self.project.said(number, frame)
            if said is None:
                raise NoSuchError(f"Expected clicks on object {number} on frame {frame}, but there are none.")
            with self.project.change("take back clicks") as write:
                write.drop_said(number, frame)
                if said.base is not None and not said.between:
                    write.put_shape(said.base)
                else:
                    write.drop_shape(number, frame)
            self.runs.edited(number, frame)
            return self.project.shape(number, frame), self._changed(write.done)

    def draw(
        self, number: int, frame: int, points: Sequence[float], *, outside: bool = False
    ) -> tuple[Shape, Change]:
        """Puts a shape drawn by hand on a frame.

        Args:
            number: the object.
            frame: the frame.
            points: in the object's kind; none are needed where it is outside.
            outside: the object is not there.

        Raises:
            PromptError: the points are no such shape, or lie outside the frame.
            NoSuchError, BusyError: there is no such object, or it is locked.
        """
        with self._changing:
            subject = self._unlocked(number)
            self._require_frame(frame)
            if outside and not points:
                before = seen(self.project, subject, frame) or self.project.shape_before(number, frame)
                points = () if before is None else before.points
            else:
                info = self.clip.info
                points = drawn(subject.kind, points, info.height, info.width)
            shape = Shape(number, frame, "manual", outside, tuple(points))
            name = "leave" if outside else f"draw {subject.kind}"
            with self.project.change(name, self._step_of(number)) as write:
                write.drop_said(number, frame)
                write.put_shape(shape)
            self.runs.edited(number, frame)
            return shape, self._changed(write.done)

    def erase(self, number: int, frame: int) -> Change:
        """Removes the shape of an object on a frame, with the clicks that gave it.

        Raises:
            NoSuchError: there is no such object, or no shape of it is stored on the frame.
            BusyError: it is locked.
        """
        with self._changing:
            subject = self._unlocked(number)
            if self.project.shape(number, frame) is None:
                raise NoSuchError(f"Expected a shape of {subject.name} on frame {frame}, but there is none.")
            with self.project.change("delete shape") as write:
                write.drop_said(number, frame)
                write.drop_shape(number, frame)
            self.runs.edited(number, frame)
            return self._changed(write.done)

    def take_in(self, objects: Sequence["Incoming"], what: str) -> tuple[int, Change]:
        """Adds objects of a file, as one step; the number of shapes that came, and the change.

        Their shapes count as hand edits where the file says that a person made them.
        """
        with self._changing, self.project.change(f"import {what}") as write:
            count = 0
            used = Counter(subject.colour for subject in self.project.subjects())
            for each in objects:
                colour = free_colour(used)
                used[colour] += 1
                subject = write.add_subject(Subject(0, each.name, colour, each.kind, each.tracked))
                for figure in each.figures:
                    source: Source = "manual" if figure.by_hand else "auto"
                    shape = Shape(subject.id, figure.frame, source, figure.outside, figure.points)
                    write.put_shape(replace(shape, score=figure.score, presence=figure.presence))
                    count += 1
        return count, self._changed(write.done)

    def begin_run(self, spec: RunSpec) -> Running:
        """See `Runs.begin`; its model and policy are this studio's where they are empty."""
        spec = replace(spec, model=spec.model or self.worker.model.name, policy=spec.policy or self.policy)
        return self.runs.begin(spec)

    def undo(self) -> Change:
        """Takes back the last step.

        Raises:
            BusyError: a run is going on, or there is nothing to take back.
        """
        return self._walk(self.project.undo, "undo")

    def redo(self) -> Change:
        """Does again what was taken back last.

        Raises:
            BusyError: a run is going on, or nothing was taken back.
        """
        return self._walk(self.project.redo, "redo")

    def seen(self, frame: int) -> list[tuple[Shape, Kind, bool]]:
        """What is there on a frame: shapes, the kind of each, and whether it lies between keyframes."""
        self._require_frame(frame)
        subjects = self.project.subjects()
        shapes = [(subject, seen(self.project, subject, frame)) for subject in subjects]
        return [
            (shape, subject.kind, self.project.shape(subject.id, frame) is None)
            for subject, shape in shapes
            if shape is not None
        ]

    def _convert(self, write: Writer, before: Subject, kind: Kind) -> None:
        """Makes an object's shapes, and those that clicks have corrected, shapes of another kind."""
        size = self.clip.info.height, self.clip.info.width
        for shape in self.project.shapes(number=before.id):
            write.put_shape(converted(shape, before.kind, kind, *size))
        for said in self.project.all_said(number=before.id):
            if said.base is not None:
                write.put_said(replace(said, base=converted(said.base, before.kind, kind, *size)))

    def _walk(self, go: Callable[[], Change | None], what: str) -> Change:
        with self._changing:
            self.runs.require_idle()
            change = go()
            if change is None:
                raise BusyError(f"Expected something to {what}, but there is nothing.")
            return self._changed(change)

    def _answer(self, network: "VideoNetwork", new: Said, replaced: bool) -> tuple[Shape, Said, Change]:
        subject = self._unlocked(new.object)
        said = self._joined(subject, new, replaced)
        found = self._desk.answer(network, subject.kind, said)
        previous = said.base.points if said.base is not None and subject.kind == "polygon" else None
        points = mask_to_figure(subject.kind, found.mask, previous=previous) if found.visible else None
        if points is None:
            raise PromptError(
                "Expected clicks that mark something, but the network finds nothing there. Click on the "
                "middle of the object, or draw a box around it."
            )
        shape = Shape(new.object, new.frame, "prompted", False, points, found.score, found.presence)
        with self._changing:
            now = self._unlocked(new.object)
            if now.kind != subject.kind:
                raise BusyError(f"{now.name} became a {now.kind} before the click was answered. Click again.")
            with self.project.change("click" if new.points else "box", self._step_of(new.object)) as write:
                write.put_said(said)
                write.put_shape(shape)
            self.runs.edited(new.object, new.frame)
            return shape, said, self._changed(write.done)

    def _joined(self, subject: Subject, new: Said, replaced: bool) -> Said:
        """All that is said on the frame now, and the shape that it corrects."""
        before = self.project.said(new.object, new.frame)
        if before is None:
            base = seen(self.project, subject, new.frame)
            stored = self.project.shape(new.object, new.frame) is not None
            return replace(new, base=base, between=base is not None and not stored)
        if replaced:
            return replace(new, base=before.base, between=before.between)
        points, labels = before.points + new.points, before.labels + new.labels
        return replace(before, points=points, labels=labels, box=new.box or before.box)

    def _step_of(self, number: int) -> int | None:
        """The step that made the newest object: its first shape belongs to it, one undo takes both back."""
        made, step = self._made
        if number != made:
            return None
        self._made = (0, 0)
        return step

    def _unlocked(self, number: int) -> Subject:
        subject = self.project.subject(number)
        self._require_unlocked(subject)
        return subject

    def _require_unlocked(self, subject: Subject) -> None:
        if subject.locked:
            raise BusyError(f"{subject.name} is locked. Unlock it first.")

    def _require_frame(self, frame: int) -> None:
        if not 0 <= frame < self.clip.frames:
            raise FrameIndexError(f"Expected a frame from 0 to {self.clip.frames - 1}, but got {frame}.")

    def _changed(self, change: Change) -> Change:
        """Tells everybody of a change."""
        if change.objects or change.shapes:
            self._tell(change_event(change))
        return change

    def _tell_model(self, state: ModelState) -> None:
        model = {"name": state.name, "state": state.state, "error": state.error}
        self._tell({"type": "model", "revision": self.project.revision, "model": model})
        if state.state == "ready":  # Only now can anything be ranked.
            for subject in self.project.subjects():
                self._tell({"type": "review", "revision": self.project.revision, "object": subject.id})

    def _tell(self, event: Event) -> None:
        # Held, so that every page is told in the same order, whichever thread something happens on.
        with self._telling:
            self.review.note(event)
            for listener in list(self._listeners):
                listener(event)


def _name_of_change(before: Subject, after: Subject) -> str:
    """What a change of an object does, for the undo button."""
    if before.kind != after.kind:
        return f"make {after.name} a {after.kind}"
    if before.tracked != after.tracked:
        return f"make {after.name} {'a track' if after.tracked else 'single shapes'}"
    if before.shown != after.shown:
        return f"{'show' if after.shown else 'hide'} {after.name}"
    if before.locked != after.locked:
        return f"{'lock' if after.locked else 'unlock'} {after.name}"
    return f"rename {before.name}" if before.name != after.name else f"colour {after.name}"
