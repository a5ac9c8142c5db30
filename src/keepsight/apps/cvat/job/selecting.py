"""Which objects on the start frame are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from keepsight.apps.cvat.job.labeled import Figure, Item, Job, Key, Shape, Track
from keepsight.apps.cvat.job.visible import seen
from keepsight.apps.cvat.wire import KINDS
from keepsight.errors import UnknownObjectError, UsageError

__all__ = ["Selection", "Subject", "Wanted", "name_of", "select"]

SORTS: dict[str, tuple[type, ...]] = {"": (Shape, Track), "shape": (Shape,), "track": (Track,)}


@dataclass(frozen=True)
class Wanted:
    """Which objects were asked for; without any choice all are.

    Attributes:
        labels: names of labels, or their numbers.
        ids: numbers of objects, or "shape:7" and "track:7" where both exist.
    """

    labels: Sequence[str] = ()
    ids: Sequence[str] = ()


@dataclass(frozen=True)
class Subject:
    """An object to be tracked.

    Attributes:
        item: as it is in the job.
        start: how it looks on the start frame.
        keyframe: whether that is there already, rather than found between two keyframes.
        name: for messages, "track 7 (car)".
        note: what a reader should know about how it looks there, or nothing.
    """

    item: Item
    start: Figure
    keyframe: bool
    name: str
    note: str = ""


class Selection(NamedTuple):
    """The objects to be tracked, at least one, and sentences about others that were passed over."""

    subjects: tuple[Subject, ...]
    notes: tuple[str, ...]


def name_of(job: Job, item: Item) -> str:
    """What messages call an object."""
    sort = "track" if isinstance(item, Track) else "shape"
    number = "" if item.id is None else f" {item.id}"
    return f"{sort}{number} ({job.label_name(item.label)})"


def select(job: Job, frame: int, wanted: Wanted) -> Selection:
    """The objects that are asked for and visible on a frame.

    Args:
        job: where they are.
        frame: the start frame.
        wanted: which; an object has to be of one of the labels and one of the numbers, if any are given.

    Raises:
        UnknownObjectError: a label or number that does not exist, or an object that is not visible there.
        UsageError: an object of a kind that cannot be tracked was asked for by its number, a number that is
            both a shape's and a track's, or nothing on the frame can be tracked.
    """
    keys = _label_keys(job, wanted.labels)
    items = _numbered(job, frame, wanted.ids)
    subjects, notes = [], []
    for item in items:
        subject = _visible(job, item, frame)
        if subject is None or (keys is not None and item.label not in keys):
            continue
        if subject.start.kind not in KINDS:
            sentence = (
                f"{subject.name} is a {subject.start.kind}; rectangles, polygons and masks can be tracked."
            )
            if wanted.ids:
                raise UsageError(f"Expected objects that can be tracked, but {sentence}")
            notes.append(f"Passed over: {sentence}")
            continue
        subjects.append(subject)
        if subject.note:
            notes.append(f"{subject.name}: {subject.note}.")
    if not subjects:
        raise UnknownObjectError(
            f"Expected something to track on frame {frame} of {job.name}, but there is no rectangle, polygon "
            f"or mask{_among(wanted)} visible on it.{_elsewhere(job)} {' '.join(notes)}".rstrip()
        )
    return Selection(tuple(subjects), tuple(notes))


def _label_keys(job: Job, names: Sequence[str]) -> set[Key] | None:
    if not names:
        return None
    known = {label.name: label.key for label in job.labels}
    used = {str(item.label): item.label for item in job.items}
    keys = {**used, **{str(label.key): label.key for label in job.labels}, **known}
    for name in names:
        if name not in keys:
            there = ", ".join(sorted(known or used)) or "none"
            raise UnknownObjectError(
                f"--label {name}: expected one of the labels of {job.name}, but it has {there}."
            )
    return {keys[name] for name in names}


def _numbered(job: Job, frame: int, ids: Sequence[str]) -> list[Item]:
    if not ids:
        return job.items
    chosen: list[Item] = []
    for text in ids:
        sort, _, number = text.rpartition(":")
        if not number.isdecimal() or sort not in SORTS:
            raise UsageError(f"--id {text}: expected a number, or shape:NUMBER or track:NUMBER.")
        named = [item for item in job.items if item.id == int(number) and isinstance(item, SORTS[sort])]
        shown = [item for item in named if _visible(job, item, frame)]
        if not named:
            raise UnknownObjectError(
                f"--id {text}: expected an object of {job.name}, but it has none of this number. Objects on "
                f"frame {frame}: {_listed(job, frame)}."
            )
        if not shown:
            raise UnknownObjectError(
                f"--id {text}: {name_of(job, named[0])} is not visible on frame {frame}. Objects on this "
                f"frame: {_listed(job, frame)}."
            )
        if len(shown) > 1:
            raise UsageError(
                f"--id {text}: a shape and a track have this number. Say shape:{number} or track:{number}."
            )
        if shown[0] not in chosen:
            chosen += shown
    return chosen


def _visible(job: Job, item: Item, frame: int) -> Subject | None:
    if isinstance(item, Shape):
        found = item.figure.frame == frame and not item.figure.outside
        return Subject(item, item.figure, True, name_of(job, item)) if found else None
    shown = seen(item, frame)
    if shown is None:
        return None
    return Subject(item, shown.figure, shown.keyframe, name_of(job, item), shown.note)


def _listed(job: Job, frame: int) -> str:
    names = [name_of(job, item) for item in job.items if _visible(job, item, frame)]
    return ", ".join(names[:20]) or "none"


def _among(wanted: Wanted) -> str:
    return " of this label" if len(wanted.labels) == 1 else " of these labels" if wanted.labels else ""


def _elsewhere(job: Job) -> str:
    """Where there is something, for those who mistyped the frame."""
    frames = {item.figure.frame for item in job.shapes if item.figure.kind in KINDS}
    frames |= {track.keyframes[0].frame for track in job.tracks if track.kind in KINDS}
    if not frames:
        return " Draw one first."
    return f" The first frames that have any: {', '.join(map(str, sorted(frames)[:8]))}."
