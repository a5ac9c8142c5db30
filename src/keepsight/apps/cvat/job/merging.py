"""From what was found to what has to change in the job: nothing else is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keepsight.apps.cvat.job.course import Becomes, Course, Span
from keepsight.apps.cvat.job.labeled import Attributes, Figure, Item, Job, Shape, Track
from keepsight.apps.cvat.job.tracking import Found
from keepsight.apps.cvat.job.visible import governing
from keepsight.errors import UsageError

__all__ = ["Changes", "changes_of", "check_attributes"]

AUTO, MIXED = "auto", "semi-auto"


@dataclass(frozen=True)
class Changes:
    """What has to be written.

    Attributes:
        new_tracks: to be created.
        new_shapes: to be created.
        tracks: pairs of a track as it was and as it will be.
        shapes: pairs of a shape as it was and as it will be.
        gone: shapes to be deleted.
    """

    new_tracks: tuple[Track, ...] = ()
    new_shapes: tuple[Shape, ...] = ()
    tracks: tuple[tuple[Track, Track], ...] = ()
    shapes: tuple[tuple[Shape, Shape], ...] = ()
    gone: tuple[Shape, ...] = ()

    def __bool__(self) -> bool:
        return any((self.new_tracks, self.new_shapes, self.tracks, self.shapes, self.gone))

    @property
    def touched(self) -> list[Item]:
        """What exists and is changed or deleted."""
        return [*(track for track, _ in self.tracks), *(shape for shape, _ in self.shapes), *self.gone]


@dataclass
class _Gathered:
    """The changes of all objects, as they are found out."""

    new_tracks: list[Track] = field(default_factory=list)
    new_shapes: list[Shape] = field(default_factory=list)
    tracks: list[tuple[Track, Track]] = field(default_factory=list)
    shapes: list[tuple[Shape, Shape]] = field(default_factory=list)
    gone: list[Shape] = field(default_factory=list)


def check_attributes(job: Job, courses: Sequence[Course]) -> None:
    """Refuses what `changes_of` would refuse, before anything is tracked.

    Raises:
        UsageError: as `changes_of`.
    """
    for course in courses:
        item = course.subject.item
        if isinstance(item, Shape) and course.becomes is Becomes.converted:
            _split(job, course, item)


def changes_of(job: Job, courses: Sequence[Course], found: Sequence[Found], span: Span) -> Changes:
    """What has to change; a run that finds what an earlier one wrote changes nothing.

    Args:
        job: as it is.
        courses: what is going to be done with each object.
        found: each object by frame.
        span: the part that was tracked.

    Raises:
        UsageError: a shape with attributes becomes a track, and nobody said which of them may change.
    """
    gathered = _Gathered()
    for course, figures in zip(courses, found, strict=True):
        item = course.subject.item
        if isinstance(item, Track):
            track = _continued(job, course, item, figures, span)
            if track.keyframes != item.keyframes:
                gathered.tracks.append((item, track))
        elif course.becomes is Becomes.converted:
            gathered.new_tracks.append(_converted(job, course, item, figures, span))
            gathered.gone.append(item)
        else:
            _add_shapes(gathered, course, item, figures)
    return Changes(**{name: tuple(pairs) for name, pairs in vars(gathered).items()})


def _continued(job: Job, course: Course, track: Track, figures: Found, span: Span) -> Track:
    before = {figure.frame: figure for figure in track.keyframes}
    written = _written(job, track, figures)
    if not written:
        return track
    start = replace(course.start, raw=None)
    keyframes = _begun({start.frame: start, **before, **written}, written)
    if span.forward is not None and max(written) > start.frame:
        keyframes = _ended(job, keyframes, span.forward)
    return replace(track, keyframes=keyframes, source=track.source if track.source == AUTO else MIXED)


def _converted(job: Job, course: Course, shape: Shape, figures: Found, span: Span) -> Track:
    fixed, moving = _split(job, course, shape)
    start = replace(course.start, attributes=moving, raw=None)
    track = Track((start,), shape.label, shape.group, AUTO, fixed)
    written = _written(job, track, figures)
    keyframes = _begun({start.frame: start, **written}, written)
    return replace(track, keyframes=_ended(job, keyframes, span.forward or start.frame))


def _split(job: Job, course: Course, shape: Shape) -> tuple[Attributes, Attributes]:
    """A shape's attributes: those that never change, and those that keyframes carry."""
    attributes = shape.figure.attributes
    if all(isinstance(key, str) for key, _ in attributes):
        return (), attributes  # in XML keyframes carry all, and CVAT sorts them
    mutable = job.mutable(shape.label)
    if mutable is None:
        raise UsageError(
            f"{course.subject.name} has attributes, and a track keeps those that may change apart from the "
            f"others, but nobody said which may. Give the answer of GET /api/labels?job_id=... with --labels."
        )
    fixed = tuple(pair for pair in attributes if pair[0] not in mutable)
    return fixed, tuple(pair for pair in attributes if pair[0] in mutable)


def _written(job: Job, track: Track, figures: Found) -> dict[int, Figure]:
    """The signed keyframes; flags, layer and attributes are those that CVAT shows on the frame now."""
    written = {}
    for frame, figure in figures.items():
        looks = governing(track, frame) or track.keyframes[0]
        outlined = replace(
            looks, frame=frame, points=figure.points, rotation=figure.rotation, outside=figure.outside
        )
        written[frame] = job.mark.put(outlined, job.timeline.position(frame))
    return written


def _begun(keyframes: Mapping[int, Figure], written: Mapping[int, Figure]) -> tuple[Figure, ...]:
    """In order, without outside keyframes before the track's first figure, but those of a hand."""
    order = [keyframes[frame] for frame in sorted(keyframes)]
    while order[0].outside and order[0].frame in written:
        order.pop(0)
    return tuple(order)


def _ended(job: Job, keyframes: tuple[Figure, ...], end: int) -> tuple[Figure, ...]:
    """With an outside keyframe after `end`, unless one follows, or the object is gone, or the job ends."""
    last, following = keyframes[-1], job.timeline.after(end)
    if last.outside or last.frame > end or following is None:
        return keyframes
    closing = replace(last, frame=following, outside=True)
    return (*keyframes, job.mark.put(closing, job.timeline.position(following)))


def _add_shapes(gathered: _Gathered, course: Course, start: Shape, figures: Found) -> None:
    if start.group != course.group:
        gathered.shapes.append((start, replace(start, group=course.group)))
    for frame, figure in figures.items():
        earlier = course.own.get(frame, ())
        gathered.gone += earlier if figure.outside else earlier[1:]
        if figure.outside:
            continue
        if not earlier:
            looks = replace(start.figure, frame=frame, points=figure.points, raw=None)
            gathered.new_shapes.append(Shape(looks, start.label, course.group, AUTO))
        elif earlier[0].figure.points != figure.points:
            looks = replace(earlier[0].figure, points=figure.points)
            gathered.shapes.append((earlier[0], replace(earlier[0], figure=looks)))
