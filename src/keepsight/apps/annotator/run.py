"""A run: objects tracked from one frame to another, written down frame by frame."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.passes import Pass, passes_of, remaining
from keepsight.apps.annotator.project import Change, Project, Run, Shape, Subject
from keepsight.shapes import figure_to_prompt, mask_to_figure
from keepsight.types import Box, FrameResult, Mask, ObjectResult
from keepsight.video import FrameSource

if TYPE_CHECKING:
    from keepsight.api import VideoTracker
    from keepsight.nn.io import VideoNetwork

__all__ = ["Progress", "Running", "Written"]

TOLERANCE = 1.0  # pixels that a tracked polygon may stray from the mask's outline
_LATELY = 20  # frames over which the speed is taken


@dataclass(frozen=True)
class Progress:
    """How far a run is: frames done and in all, the one written last, and frames per second lately."""

    done: int
    total: int
    frame_now: int | None
    speed: float | None


@dataclass(frozen=True)
class Written:
    """What a run wrote of one frame: shapes, and object and frame of those that it took away."""

    change: Change
    shapes: tuple[Shape, ...]
    removed: tuple[tuple[int, int], ...]


@dataclass
class Running:
    """A run that is going on.

    Attributes:
        run: what it is.
        progress: how far it is; for other threads to read.
        fresh: hand edits made meanwhile, object and frame; the rest of the run knows of them.
    """

    project: Project
    run: Run
    video_frames: int
    fresh: deque[tuple[int, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._passes = passes_of(self.run.spec, self.video_frames)
        self._total = sum(each.frames for each in self._passes)
        self._rest = remaining(self._passes, self.run.reached)
        done = self._total - sum(each.frames for each in self._rest)
        self._times: deque[float] = deque(maxlen=_LATELY)
        self.progress = Progress(done, self._total, self.run.reached, None)

    def frames(self, network: "VideoNetwork", opened: Callable[[], FrameSource]) -> Iterator[Written | None]:
        """Tracks, and writes each frame as it comes: one item per frame, and None per frame told by hand.

        Args:
            network: a loaded model.
            opened: opens the video.
        """
        from keepsight.api import VideoTracker

        for each in self._rest:
            with VideoTracker(opened(), model=network, policy=self.run.spec.policy, undo_depth=0) as tracker:
                last = yield from self._tell(tracker, each)
                if not tracker.object_ids:
                    continue
                step = -1 if each.reverse else 1
                self._times.append(time.monotonic())
                # Before frame 0 there is no number to stop at.
                stop = each.last + step if each.last + step >= 0 else None
                for result in tracker.propagate(each.origin + step, stop, reverse=each.reverse):
                    yield self._write(result, last)
                    self._learn(tracker)
                    if not tracker.object_ids:
                        break

    def _tell(
        self, tracker: "VideoTracker", each: Pass
    ) -> Generator[None, None, dict[int, tuple[float, ...]]]:
        """Says all that is known by hand, and what is seen on the first frame; the shapes to go on from."""
        last: dict[int, tuple[float, ...]] = {}
        for number in self.run.spec.objects:
            subject = self._subject(number)
            if subject is None:
                continue
            start = self._start(subject, each)
            if start is not None:
                last[number] = start.points
            told = {shape.frame: shape for shape in self.project.hand_edits(number) if not shape.outside}
            if start is not None:
                told[start.frame] = start
            for shape in told.values():
                if shape.frame < self.video_frames:
                    self._say(tracker, subject, shape)
                    yield
        return last

    def _start(self, subject: Subject, each: Pass) -> Shape | None:
        """What is seen where a pass begins; going on with a run, where the object was seen last."""
        here = seen(self.project, subject, each.origin)
        if here is not None or each.origin == self.run.spec.frame:
            return here
        low, high = sorted((self.run.spec.frame, each.origin))
        there = [s for s in self.project.shapes(low, high + 1, subject.id) if not s.outside]
        return min(there, key=lambda shape: abs(shape.frame - each.origin), default=None)

    def _say(self, tracker: "VideoTracker", subject: Subject, shape: Shape) -> None:
        height, width = tracker.info.height, tracker.info.width
        prompt = figure_to_prompt(subject.kind, shape.points, height, width)
        if isinstance(prompt, Mask):
            tracker.prompt(shape.frame, subject.id, mask=prompt, replace=True)
        elif isinstance(prompt, Box):
            tracker.prompt(shape.frame, subject.id, box=prompt, replace=True)

    def _learn(self, tracker: "VideoTracker") -> None:
        """Tells the tracker of what a person did since the last frame."""
        while self.fresh:
            number, frame = self.fresh.popleft()
            subject = self._subject(number)
            shape = None if subject is None else self.project.shape(number, frame)
            if number in tracker.object_ids:
                if subject is None:
                    tracker.remove(number)
                elif shape is not None and shape.hand_made and not shape.outside:
                    self._say(tracker, subject, shape)
                elif frame in (told := {*tracker.prompted_frames(number)}) and len(told) > 1:
                    tracker.unprompt(frame, number)

    def _subject(self, number: int) -> Subject | None:
        return next((subject for subject in self.project.subjects() if subject.id == number), None)

    def _write(self, result: FrameResult, last: dict[int, tuple[float, ...]]) -> Written:
        """Writes a frame, all of it or nothing."""
        subjects = {s.id: s for s in self.project.subjects() if s.id in result and not s.locked}
        answers = {
            number: _answer(subject, result.index, result[number], last.get(number))
            for number, subject in subjects.items()
        }
        shapes, removed = [], []
        with self.project.run_change(self.run.id) as writer:
            # An object may have been deleted while its answer was drawn.
            there_still = {subject.id for subject in self.project.subjects()}
            for number, answer in answers.items():
                if number not in there_still:
                    continue
                there = self.project.shape(number, result.index)
                if writer.overtaken(number, result.index) or (there is not None and there.hand_made):
                    # What a person did goes before, deleting too.
                    if there is not None:
                        last[number] = there.points
                elif answer is not None:
                    writer.put_shape(answer)
                    shapes.append(answer)
                    last[number] = answer.points
                elif there is not None:
                    writer.drop_shape(number, result.index)
                    removed.append((number, result.index))
            writer.reached(self.run.id, result.index)
        self._count(result.index)
        return Written(writer.done, tuple(shapes), tuple(removed))

    def _count(self, frame: int) -> None:
        self._times.append(time.monotonic())
        took = self._times[-1] - self._times[0]
        speed = (len(self._times) - 1) / took if took > 0 else None
        self.run = replace(self.run, reached=frame)
        self.progress = Progress(self.progress.done + 1, self._total, frame, speed)


def _answer(
    subject: Subject, frame: int, found: ObjectResult, previous: tuple[float, ...] | None
) -> Shape | None:
    """What was found, as a shape of the object's kind.

    An object that is not there leaves a track, with the shape it had last, and comes back when it is found
    again; where shapes stand alone there is none.
    """
    points = None
    if found.visible:
        points = mask_to_figure(
            subject.kind,
            found.mask,
            tolerance=TOLERANCE,
            previous=previous if subject.kind == "polygon" else None,
        )
    outside = points is None
    if outside and not (subject.tracked and previous):
        return None
    return Shape(subject.id, frame, "auto", outside, points or previous or (), found.score, found.presence)
