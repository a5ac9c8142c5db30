"""Whatever a hand made is the same after a run, and a second run changes nothing: any keyframes, any span.

The tracker is left out: what it finds is drawn at random too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keepsight.apps.cvat.job.course import Becomes, Course, Span, lay_out
from keepsight.apps.cvat.job.labeled import Figure, Job, Label, Shape, Timeline, Track
from keepsight.apps.cvat.job.mark import FINE, is_marked
from keepsight.apps.cvat.job.merging import Changes, changes_of
from keepsight.apps.cvat.job.selecting import Wanted, select
from keepsight.apps.cvat.job.tracking import Found
from keepsight.apps.cvat.job.visible import seen

LAST = 14
LABELS = (Label(3, "car", frozenset({10})),)
numbers = st.integers(0, 400).map(float)
mouse = st.integers(0, 40_000).map(lambda number: number / 100 + 0.001953125)


def figure(frame: int, points: Sequence[float], kind: str = "rectangle", **other: Any) -> Figure:
    return Figure(frame, kind, tuple(points), attributes=((10, "yes"),), **other)


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Any track: some keyframes by hand, some by an earlier run, some of these changed by hand since."""
    frames = sorted(draw(st.sets(st.integers(0, LAST), min_size=1)))
    kind = draw(st.sampled_from(["rectangle", "polygon"]))
    size = 4 if kind == "rectangle" else draw(st.integers(3, 6)) * 2
    keyframes = []
    for frame in frames:
        points = draw(st.lists(draw(st.sampled_from([numbers, mouse])), min_size=size, max_size=size))
        one = figure(
            frame, points, kind, outside=draw(st.booleans()), occluded=draw(st.booleans()), raw=object()
        )
        if draw(st.booleans()):
            raw, one = one.raw, FINE.put(one, frame)
            one = replace(one, raw=raw)
            if draw(st.booleans()):
                one = replace(one, outside=not one.outside)
        keyframes.append(one)
    return Track(
        tuple(keyframes), 3, draw(st.integers(0, 2)), draw(st.sampled_from(["manual", "auto"])), raw=object()
    )


spans = st.tuples(st.integers(0, LAST), st.integers(0, LAST), st.integers(0, LAST)).map(
    lambda ends: Span(ends[0], ends[1] if ends[1] > ends[0] else None, ends[2] if ends[2] < ends[0] else None)
)
deleted_frames = st.sets(st.integers(0, LAST), max_size=4)


def job(deleted: set[int], tracks: Sequence[Track] = (), shapes: Sequence[Shape] = ()) -> Job:
    timeline = Timeline([frame for frame in range(LAST + 1) if frame not in deleted], 0, LAST)
    return Job("job 7", timeline, LABELS, tuple(shapes), tuple(tracks), FINE, (999, 999), 5)


def found_for(course: Course, draw: Any) -> Found:
    """What a tracker might find: a place on the pixels' edges, or nothing."""
    count = len(course.start.points)
    return {
        frame: replace(
            course.start,
            frame=frame,
            points=tuple(draw(st.lists(numbers, min_size=count, max_size=count))),
            outside=draw(st.booleans()),
            raw=None,
        )
        for frame in sorted(course.write)
    }


def done(job: Job, changes: Changes) -> Job:
    """The job as it is when the changes were made and it is read again."""
    after = dict(changes.tracks)
    kept = [dict(changes.shapes).get(shape, shape) for shape in job.shapes if shape not in changes.gone]
    new = [*(after.get(track, track) for track in job.tracks), *changes.new_tracks]
    return replace(job, tracks=tuple(new), shapes=(*kept, *changes.new_shapes))


@given(track=tracks(), span=spans, deleted=deleted_frames, data=st.data())
def test_keyframes_by_hand_are_never_changed(
    track: Track, span: Span, deleted: set[int], data: st.DataObject
) -> None:
    before = job(deleted - {span.start}, [track])
    if seen(track, span.start) is None:
        return
    (course,) = lay_out(before, select(before, span.start, Wanted()).subjects, span, convert=False)
    found = found_for(course, data.draw)
    changes = changes_of(before, [course], [found], span)
    (after,) = done(before, changes).tracks
    by_frame = {keyframe.frame: keyframe for keyframe in after.keyframes}
    for keyframe in track.keyframes:
        touched = keyframe.frame in course.write
        if not is_marked(keyframe, keyframe.frame) or not touched:
            assert by_frame[keyframe.frame] is keyframe  # the very object, raw and all
    assert not course.write & deleted
    assert span.start not in course.write
    assert (after.label, after.group, after.attributes) == (track.label, track.group, track.attributes)
    assert [k.frame for k in after.keyframes] == sorted(by_frame)
    for frame in by_frame.keys() - {keyframe.frame for keyframe in track.keyframes}:
        assert is_marked(by_frame[frame], frame)
    again = done(before, changes)
    (second,) = lay_out(again, select(again, span.start, Wanted()).subjects, span, convert=False)
    assert second.write == course.write
    assert second.start.points == course.start.points
    assert second.hand == course.hand
    assert not changes_of(again, [second], [found], span)


@given(track=tracks(), span=spans, data=st.data())
def test_flags_and_attributes_set_by_hand_outlive_a_run(
    track: Track, span: Span, data: st.DataObject
) -> None:
    if seen(track, span.start) is None:
        return
    before = job(set(), [track])
    (course,) = lay_out(before, select(before, span.start, Wanted()).subjects, span, convert=False)
    changes = changes_of(before, [course], [found_for(course, data.draw)], span)
    (written,) = done(before, changes).tracks
    flagged = tuple(
        replace(k, occluded=True, z_order=4, attributes=((10, "no"),), raw=object())
        for k in written.keyframes
    )
    edited = job(set(), [replace(written, keyframes=flagged)])
    (course,) = lay_out(edited, select(edited, span.start, Wanted()).subjects, span, convert=False)
    (after,) = done(edited, changes_of(edited, [course], [found_for(course, data.draw)], span)).tracks
    kept = {k.frame: k for k in flagged}
    for keyframe in after.keyframes:
        if keyframe.frame in kept:
            assert (keyframe.occluded, keyframe.z_order, keyframe.attributes) == (True, 4, ((10, "no"),))


@given(
    others=st.lists(
        st.tuples(
            st.integers(0, LAST), st.sampled_from(["auto", "manual", "semi-auto", "file"]), st.integers(0, 2)
        ),
        max_size=12,
    ),
    span=spans,
    group=st.integers(0, 1),
    deleted=deleted_frames,
    data=st.data(),
)
def test_shapes_by_hand_are_never_changed(
    others: list[tuple[int, str, int]], span: Span, group: int, deleted: set[int], data: st.DataObject
) -> None:
    deleted -= {span.start}
    start = Shape(figure(span.start, (1, 2, 3, 4, 5, 6), "mask"), 3, group, "manual", 1, object())
    shapes = [start]
    for number, (frame, source, other_group) in enumerate(others, 2):
        if frame != span.start:
            outline = figure(frame, (number, 2, 3, 4, 5, 6), "mask")
            shapes.append(Shape(outline, 3, other_group, source, number, object()))
    before = job(deleted, shapes=shapes)
    subjects = select(before, span.start, Wanted()).subjects
    if not span.frames(before.timeline):
        return
    (course,) = lay_out(before, subjects, span, convert=False)
    assert course.becomes is Becomes.shapes
    found = found_for(course, data.draw)
    changes = changes_of(before, [course], [found], span)
    touched = [item.id for item in changes.touched]
    frames = {frame for frame in span.frames(before.timeline)}
    for shape in shapes[1:]:
        mine = group and shape.group == group and shape.source == "auto" and shape.figure.frame in frames
        assert mine or shape.id not in touched
    after = done(before, changes)
    (first,) = [shape for shape in after.shapes if shape.id == 1]
    assert first.figure is start.figure
    assert first.group == (group or 6)  # a group that nobody has
    alike = [s for s in after.shapes if s.group == first.group and s.figure.frame in course.write]
    assert sorted(s.figure.frame for s in alike) == sorted(f for f in found if not found[f].outside)
    again = lay_out(after, [replace(subjects[0], item=first)], span, convert=False)
    assert not changes_of(after, again, [found], span)
