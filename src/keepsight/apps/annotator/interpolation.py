"""What is seen of an object on a frame: its keyframes there and around it."""

from dataclasses import replace

from keepsight.apps.annotator.project import Project, Shape, Subject

__all__ = ["between", "seen"]


def seen(project: Project, subject: Subject, frame: int) -> Shape | None:
    """The shape that an object has on a frame, None where it is not there.

    One that is not stored there has the asked frame, source "auto", and no score.
    """
    before = project.shape_before(subject.id, frame)
    if before is None or before.outside:
        return None
    if before.frame == frame:
        return before
    if not subject.tracked:
        return None
    return between(subject.kind, before, project.shape_after(subject.id, frame), frame)


def between(kind: str, before: Shape, after: Shape | None, frame: int) -> Shape:
    """The shape on a frame between two keyframes of a track.

    Rectangles, and polygons of as many corners, move in straight lines; everything else is held, as is a
    shape that the object leaves with.
    """
    held = replace(before, frame=frame, source="auto", score=None, presence=None)
    if after is None or after.outside or kind == "mask" or len(after.points) != len(before.points):
        return held
    share = (frame - before.frame) / (after.frame - before.frame)
    points = (a + share * (b - a) for a, b in zip(before.points, after.points, strict=True))
    return replace(held, points=tuple(points))
