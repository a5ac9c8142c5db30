"""What a run is going to do with each object, decided before anything is tracked.

A track goes on as a track. A rectangle that is a shape becomes one, and so does a polygon where that is asked
for; the shape goes. Any other polygon, and every mask (CVAT has no tracks of masks), becomes one shape per
frame, and these share a group: the start shape's own, or a new one that the start shape is given too.

What a hand made stays, and tells the tracker what is meant:
- A track's keyframe that keepsight did not write, or whose outline was changed since (`mark`). Where it is
  outside and nothing follows, the object is gone because a person said so, and no keyframe is put after it.
- Of the shapes of one group, label and kind those whose source is not "auto". CVAT makes it "semi-auto" as
  soon as a hand changes an outline.
Everything else between the start and the target is replaced. The start frame itself is never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from keepsight.apps.cvat.job.labeled import Figure, Job, Shape, Timeline, Track
from keepsight.apps.cvat.job.mark import is_marked
from keepsight.apps.cvat.job.selecting import Subject
from keepsight.apps.cvat.job.visible import governing
from keepsight.errors import FrameIndexError, UsageError

__all__ = ["Becomes", "Course", "Span", "lay_out", "span_of"]


class Becomes(str, Enum):
    """What an object is when it has been tracked."""

    continued = "track"
    converted = "new track"
    shapes = "shapes"


@dataclass(frozen=True)
class Span:
    """The part of a job that is tracked.

    Attributes:
        start: the frame that objects are taken from.
        forward: the last frame after it, or None.
        backward: the last frame before it, or None.
    """

    start: int
    forward: int | None = None
    backward: int | None = None

    def frames(self, timeline: Timeline) -> list[int]:
        """Every frame to be tracked, the start frame apart."""
        ends = (self.forward, self.backward)
        return [f for end in ends if end is not None for f in timeline.between(self.start, end)]


@dataclass(frozen=True)
class Course:
    """What is going to be done with one object.

    Attributes:
        subject: the object.
        start: how it looks on the start frame; where it is found between two keyframes, as the keyframe that
            is put there.
        becomes: what it will be.
        write: the frames that are written, or cleared where it is not found.
        hand: figures on other frames of the span that stay as they are.
        own: what an earlier run wrote on the frames to be written; of shapes only.
        group: the group of the shapes.
    """

    subject: Subject
    start: Figure
    becomes: Becomes
    write: frozenset[int]
    hand: tuple[Figure, ...] = ()
    own: Mapping[int, tuple[Shape, ...]] = field(default_factory=dict)
    group: int = 0

    @property
    def prompts(self) -> list[Figure]:
        """What the tracker is told: the start, and what a hand drew later or earlier."""
        return [self.start, *(figure for figure in self.hand if not figure.outside)]


def span_of(timeline: Timeline, start: int, targets: Sequence[int], name: str) -> Span:
    """The part of a job that is asked for.

    Args:
        timeline: the job's frames.
        start: the start frame.
        targets: where to stop: one frame, or one on either side of the start; none for the job's end.
        name: the job, for messages.

    Raises:
        FrameIndexError: a frame outside the job, or a start frame that is deleted.
        UsageError: two targets on one side, or one that is the start frame.
    """
    _check_inside(timeline, start, "--start-frame", name)
    if start not in timeline.frames:
        raise FrameIndexError(f"--start-frame {start}: this frame of {name} is deleted. Choose another one.")
    for target in targets:
        _check_inside(timeline, target, "--target-frame", name)
    forward, backward = [t for t in targets if t > start], [t for t in targets if t < start]
    if start in targets or len(forward) > 1 or len(backward) > 1:
        raise UsageError(
            f"Expected a --target-frame before or after frame {start}, or one on either side, but got "
            f"{', '.join(map(str, targets))}."
        )
    if not targets:
        forward = [timeline.last]
    span = Span(start, forward[0] if forward else None, backward[0] if backward else None)
    if not span.frames(timeline):
        raise UsageError(
            f"There is no frame to track to from frame {start} of {name}: it is the last. Say where to stop "
            f"with --target-frame; a frame before it tracks backward."
        )
    return span


def _check_inside(timeline: Timeline, frame: int, option: str, name: str) -> None:
    first, last, step = timeline.first, timeline.last, timeline.step
    if not first <= frame <= last or (frame - first) % step:
        every = f", every {step}." if step > 1 else "."
        raise FrameIndexError(f"{option} {frame}: {name} has the frames {first} to {last}{every}")


def lay_out(job: Job, subjects: Sequence[Subject], span: Span, convert: bool) -> list[Course]:
    """What is going to be done with each object.

    Args:
        job: where they are.
        subjects: the objects.
        span: the part to be tracked.
        convert: whether polygons that are shapes become tracks.

    Raises:
        UsageError: shapes that cannot be told apart, or tracks that the form does not know.
    """
    frames = frozenset(span.frames(job.timeline))
    courses: list[Course] = []
    group = job.highest_group
    for subject in subjects:
        if isinstance(subject.item, Track):
            courses.append(_continued(job, subject, subject.item, frames))
        elif _converts(job, subject, convert):
            courses.append(Course(subject, subject.start, Becomes.converted, frames))
        else:
            group += not subject.item.group
            courses.append(_as_shapes(job, subject, subject.item, frames, subject.item.group or group))
    return courses


def _converts(job: Job, subject: Subject, convert: bool) -> bool:
    kind = subject.start.kind
    if kind == "polygon" and convert and not job.has_tracks:
        raise UsageError(
            "--convert-polygons-to-tracks: 'CVAT for images' has no tracks. Export the job as 'CVAT for "
            "video 1.1', or leave the option out to get one polygon per frame."
        )
    return job.has_tracks and (kind == "rectangle" or (kind == "polygon" and convert))


def _continued(job: Job, subject: Subject, track: Track, frames: frozenset[int]) -> Course:
    start = subject.start
    if not subject.keyframe:
        # Rounded first, so that a later run starts from the same numbers.
        start = job.mark.put(start, job.timeline.position(start.frame))
    hand = {
        figure.frame: figure
        for figure in track.keyframes
        if not is_marked(figure, job.timeline.position(figure.frame))
    }
    ended = {
        frame
        for frame in frames
        if (last := governing(track, frame)) is not None and last.outside and last.frame in hand
    }
    stays = tuple(figure for frame, figure in hand.items() if frame in frames)
    return Course(subject, start, Becomes.continued, frames - hand.keys() - ended, stays)


def _as_shapes(job: Job, subject: Subject, shape: Shape, frames: frozenset[int], group: int) -> Course:
    if not shape.group:
        return Course(subject, shape.figure, Becomes.shapes, frames, group=group)
    alike = [
        other
        for other in job.shapes
        if other is not shape
        and (other.group, other.label, other.figure.kind) == (shape.group, shape.label, shape.figure.kind)
    ]
    if any(other.figure.frame == shape.figure.frame for other in alike):
        raise UsageError(
            f"{subject.name} shares group {shape.group} with another {shape.figure.kind} of its label on "
            f"frame {shape.figure.frame}, so their shapes on other frames cannot be told apart. Give each a "
            f"group of its own, or none."
        )
    within = [other for other in alike if other.figure.frame in frames]
    hand = [other for other in within if other.source != "auto"]
    stays = {other.figure.frame for other in hand}
    write = frames - stays
    own: dict[int, tuple[Shape, ...]] = {}
    for other in within:
        if other.source == "auto" and other.figure.frame in write:
            own[other.figure.frame] = (*own.get(other.figure.frame, ()), other)
    return Course(subject, shape.figure, Becomes.shapes, write, _lone(hand), own, group)


def _lone(shapes: Sequence[Shape]) -> tuple[Figure, ...]:
    """One figure per frame; where there are several nobody knows which is meant, so none is shown."""
    frames = [shape.figure.frame for shape in shapes]
    return tuple(
        shape.figure
        if frames.count(shape.figure.frame) == 1
        else replace(shape.figure, outside=True, raw=None)
        for shape in shapes
    )
