"""From the start frame to the target, all objects together; nothing is kept of a frame but the shapes."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keepsight.api import VideoTracker
from keepsight.apps.cvat.figures import figure_of, prompt_of
from keepsight.apps.cvat.job.course import Course
from keepsight.apps.cvat.job.frames import JobFrames
from keepsight.apps.cvat.job.labeled import Figure
from keepsight.errors import PromptError
from keepsight.nn.io import VideoNetwork
from keepsight.shapes import mask_to_rectangle, rectangle_corners
from keepsight.types import Box, FrameResult, Mask, ObjectResult, Prompt

__all__ = ["Found", "Reach", "check_prompts", "follow", "reach_of"]

Found = Mapping[int, Figure]
"""An object by frame, on the frames of its course that are written; outside where it was not found."""


class Reach(NamedTuple):
    """How far a run goes.

    Attributes:
        numbers: the job's frames that the tracker may ask for, ascending: all that are written, those on
            which it is told something, and what lies between.
        start: the place of the start frame among them.
        first: the place of the first frame that is tracked.
        last: the place of the last one.
    """

    numbers: list[int]
    start: int
    first: int
    last: int

    @property
    def steps(self) -> int:
        """How many frames are tracked; the start frame is one of each direction."""
        ways = [abs(end - self.start) for end in (self.first, self.last)]
        return sum(way + 1 for way in ways if way)


def reach_of(courses: Sequence[Course], live: Sequence[int]) -> Reach:
    """No farther from the start than somebody writes, though what a hand drew beyond helps.

    Args:
        courses: what is going to be done.
        live: the job's frames that are not deleted, ascending.
    """
    start = courses[0].start.frame
    written = [start, *(frame for course in courses for frame in course.write)]
    asked = [*written, *(figure.frame for course in courses for figure in course.prompts)]
    first, last = min(asked), max(asked)
    numbers = [frame for frame in live if first <= frame <= last]
    return Reach(numbers, *(bisect_left(numbers, frame) for frame in (start, min(written), max(written))))


def check_prompts(courses: Sequence[Course], size: tuple[int, int]) -> None:
    """Holds everything that the tracker will be told against the frames' size, before a model is loaded.

    Args:
        courses: the objects.
        size: (width, height).

    Raises:
        PromptError: a shape lies outside the frames or has no area; the message names it.
    """
    for course in courses:
        for figure in course.prompts:
            _prompt(course, figure, size)


def follow(
    courses: Sequence[Course],
    source: JobFrames,
    reach: Reach,
    network: VideoNetwork,
    policy: str,
    tolerance: float,
    watch: Callable[[FrameResult], None],
) -> list[Found]:
    """Tracks all objects, forward and then backward, as far as somebody writes.

    Args:
        courses: the objects; the number of an object for the tracker is its place here.
        source: the frames of `reach.numbers`; closed here.
        reach: how far to go.
        network: the model.
        policy: name of a memory policy.
        tolerance: how far a polygon may stray from the mask's outline, in pixels.
        watch: is shown every result.

    Returns:
        For each object what was found, on the frames that are written.

    Raises:
        PromptError, SourceError: as `VideoTracker`.
    """
    numbers, size = reach.numbers, (source.info.width, source.info.height)
    found: list[dict[int, Figure]] = [{} for _ in courses]
    with VideoTracker(source, model=network, policy=policy, undo_depth=0) as tracker:
        for number, course in enumerate(courses):
            for figure in course.prompts:
                place = bisect_left(numbers, figure.frame)
                _tell(tracker, place, number, _prompt(course, figure, size))
        for reverse, end in ((False, reach.last + 1), (True, reach.first - 1)):
            if abs(end - reach.start) == 1:
                continue
            lines = [_Line(course, tolerance) for course in courses]
            for result in tracker.propagate(reach.start, end, reverse):
                watch(result)
                frame = numbers[result.index]
                for number, course in enumerate(courses):
                    figure = lines[number].next(frame, result[number])
                    if frame in course.write:
                        found[number][frame] = figure
    return [*found]


class _Line:
    """One object followed in one direction: each outline is laid along the one before.

    Args:
        course: the object.
        tolerance: how far a polygon may stray from the mask's outline, in pixels.
    """

    def __init__(self, course: Course, tolerance: float) -> None:
        self._drawn = {figure.frame: figure for figure in (*course.hand, course.start)}
        self._last = course.start
        self._tolerance = tolerance

    def next(self, frame: int, found: ObjectResult) -> Figure:
        """The object on the next frame: as a hand drew it, or as it was found, or gone where it was last."""
        figure = self._drawn.get(frame) or self._outlined(frame, found)
        if figure is None or figure.outside:
            return replace(self._last, frame=frame, outside=True, raw=None)
        self._last = figure
        return figure

    def _outlined(self, frame: int, found: ObjectResult) -> Figure | None:
        last = self._last
        if last.kind == "rectangle" and last.rotation:
            turned = mask_to_rectangle(found.mask, rotation=last.rotation) if found.visible else None
            points = None if turned is None else tuple(turned)
        else:
            shape = figure_of(found, last.drawn, self._tolerance)
            points = None if shape is None else shape.points
        return None if points is None else replace(last, frame=frame, points=points, raw=None)


def _prompt(course: Course, figure: Figure, size: tuple[int, int]) -> Prompt:
    """What a figure says of an object; of a turned rectangle it is the upright box around it."""
    try:
        if figure.kind == "rectangle" and figure.rotation:
            corners = rectangle_corners(figure.points, figure.rotation)
            prompt: Prompt = Box(*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        else:
            prompt = prompt_of(figure.drawn, size[1], size[0])
        _check_box(prompt, size)
    except PromptError as error:
        raise PromptError(f"{course.subject.name} on frame {figure.frame}: {error}") from error
    return prompt


def _check_box(prompt: Prompt, size: tuple[int, int]) -> None:
    if isinstance(prompt, Box) and not (
        prompt.x1 < size[0] and prompt.y1 < size[1] and prompt.x2 > 0 and prompt.y2 > 0
    ):
        raise PromptError(
            f"Expected a rectangle that meets the frame of {size[0]} x {size[1]} pixels, but got "
            f"{prompt.x1:g}, {prompt.y1:g}, {prompt.x2:g}, {prompt.y2:g}."
        )


def _tell(tracker: VideoTracker, frame: int, number: int, prompt: Prompt) -> None:
    if isinstance(prompt, Mask):
        tracker.prompt(frame, number, mask=np.asarray(prompt.array))
    elif isinstance(prompt, Box):
        tracker.prompt(frame, number, box=prompt)
