"""Annotations as CVAT's REST interface has them: the JSON of GET /api/jobs/ID/annotations, in and out.

Frames are counted within the task, 0, 1, 2, ..., whatever the video's own numbers are. What is not changed is
put back as it was read, keys that nobody here knows included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from keepsight.apps.cvat.job.labeled import Attributes, Figure, Job, Label, Shape, Timeline, Track
from keepsight.apps.cvat.job.mark import FINE
from keepsight.apps.cvat.job.merging import Changes
from keepsight.errors import AnnotationError

__all__ = ["Document", "job_of", "labels_of", "merged", "shape_to_json", "track_to_json"]

Document = Mapping[str, Any]


def job_of(
    document: Any,
    labels: Sequence[Label],
    timeline: Timeline,
    size: tuple[int, int] | None,
    name: str,
) -> Job:
    """The values of a document.

    Args:
        document: what GET /api/jobs/ID/annotations answers.
        labels: the job's labels, or none where nobody said.
        timeline: the job's frames.
        size: (width, height) of the frames, where it is known.
        name: for messages.

    Raises:
        AnnotationError: it is no such document; the message says where.
    """
    if not isinstance(document, Mapping) or not {"shapes", "tracks"} & document.keys():
        raise AnnotationError(
            f"Expected {name} to be what GET /api/jobs/ID/annotations answers, an object with shapes and "
            f"tracks, but got {_described(document)}."
        )
    shapes = [_shape(item, f"{name}, shape {i}") for i, item in enumerate(_listed(document, "shapes", name))]
    found = [_track(item, f"{name}, track {i}") for i, item in enumerate(_listed(document, "tracks", name))]
    tracks = [track for track in found if track is not None]
    tags = _listed(document, "tags", name)
    groups = [item.get("group") for item in tags if isinstance(item, Mapping)]
    used = [group for group in groups if isinstance(group, int)]
    used += [shape.group for shape in shapes] + [track.group for track in tracks]
    return Job(name, timeline, tuple(labels), tuple(shapes), tuple(tracks), FINE, size, max(used, default=0))


def labels_of(document: Any, name: str) -> tuple[Label, ...]:
    """The labels of what GET /api/labels answers, the whole of it or its list of results.

    Raises:
        AnnotationError: it is no such document.
    """
    items = document.get("results") if isinstance(document, Mapping) else document
    if not isinstance(items, list) or not items:
        raise AnnotationError(
            f"Expected {name} to be what GET /api/labels?job_id=ID answers, but got {_described(document)}."
        )
    labels = []
    for place, item in enumerate(items):
        where = f"{name}, label {place}"
        attributes = [(_int(a, "id", where), a.get("mutable")) for a in _listed(item, "attributes", where)]
        mutable = frozenset(key for key, moves in attributes if moves)
        labels.append(Label(_int(item, "id", where), str(item.get("name")), mutable))
    return tuple(labels)


def merged(document: Document, changes: Changes) -> dict[str, Any]:
    """The document with the changes made; everything else is the document's own."""
    gone = {id(shape.raw) for shape in changes.gone}
    tracks = {id(before.raw): track_to_json(after) for before, after in changes.tracks}
    shapes = {id(before.raw): shape_to_json(after) for before, after in changes.shapes}
    return {
        **document,
        "shapes": [shapes.get(id(raw), raw) for raw in document.get("shapes") or () if id(raw) not in gone]
        + [shape_to_json(shape) for shape in changes.new_shapes],
        "tracks": [tracks.get(id(raw), raw) for raw in document.get("tracks") or ()]
        + [track_to_json(track) for track in changes.new_tracks],
    }


def track_to_json(track: Track) -> dict[str, Any]:
    """A track; keyframes that were read go back as they were."""
    new: dict[str, Any] = {
        "label_id": track.label,
        "group": track.group,
        "attributes": _attributes_to_json(track.attributes),
        "elements": [],
    }
    return {
        **(new if track.raw is None else track.raw),
        "frame": track.keyframes[0].frame,
        "source": track.source,
        "shapes": [
            _figure_to_json(figure) if figure.raw is None else figure.raw for figure in track.keyframes
        ],
    }


def shape_to_json(shape: Shape) -> dict[str, Any]:
    """A shape; of one that was read only group and points may have changed."""
    if shape.raw is not None:
        return {**shape.raw, "group": shape.group, "points": _points_to_json(shape.figure)}
    return {
        **_figure_to_json(shape.figure),
        "label_id": shape.label,
        "group": shape.group,
        "source": shape.source,
        "elements": [],
    }


def _figure_to_json(figure: Figure) -> dict[str, Any]:
    return {
        "type": figure.kind,
        "frame": figure.frame,
        "points": _points_to_json(figure),
        "rotation": figure.rotation,
        "outside": figure.outside,
        "occluded": figure.occluded,
        "z_order": figure.z_order,
        "attributes": _attributes_to_json(figure.attributes),
    }


def _points_to_json(figure: Figure) -> list[float]:
    return [int(point) for point in figure.points] if figure.kind == "mask" else list(figure.points)


def _attributes_to_json(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"spec_id": key, "value": value} for key, value in attributes]


def _track(item: Any, where: str) -> Track | None:
    """A track; None for one that has no keyframe, and so is nowhere."""
    keyframes = [_figure(figure, where) for figure in _listed(item, "shapes", where)]
    keyframes.sort(key=lambda figure: figure.frame)
    frames = [figure.frame for figure in keyframes]
    if not frames:
        return None
    if len(set(frames)) < len(frames):
        raise AnnotationError(f"{where}: expected keyframes on different frames, but got two on one frame.")
    return Track(
        tuple(keyframes),
        _int(item, "label_id", where),
        _int(item, "group", where, 0),
        str(item.get("source", "manual")),
        _attributes(item, where),
        item.get("id"),
        item,
    )


def _shape(item: Any, where: str) -> Shape:
    figure = replace(_figure(item, where), raw=None)
    label, group = _int(item, "label_id", where), _int(item, "group", where, 0)
    return Shape(figure, label, group, str(item.get("source", "manual")), item.get("id"), item)


def _figure(item: Any, where: str) -> Figure:
    if not isinstance(item, Mapping):
        raise AnnotationError(f"{where}: expected an object, but got {_described(item)}.")
    points = item.get("points") or []
    if not isinstance(points, list) or not all(_is_number(point) for point in points):
        raise AnnotationError(f"{where}: expected points as a list of numbers, but got {_described(points)}.")
    kind = item.get("type")
    if not isinstance(kind, str) or (kind == "rectangle" and len(points) != 4):
        raise AnnotationError(
            f"{where}: expected a type, and four numbers of a rectangle, but got {_described(kind)} with "
            f"{len(points)}."
        )
    rotation = item.get("rotation") or 0.0
    return Figure(
        _int(item, "frame", where),
        kind,
        tuple(float(point) for point in points),
        float(rotation) if _is_number(rotation) else 0.0,
        bool(item.get("outside")),
        bool(item.get("occluded")),
        _int(item, "z_order", where, 0),
        _attributes(item, where),
        item,
    )


def _attributes(item: Mapping[str, Any], where: str) -> Attributes:
    pairs = _listed(item, "attributes", where)
    return tuple(sorted((_int(pair, "spec_id", where), str(pair.get("value"))) for pair in pairs))


def _listed(item: Any, key: str, where: str) -> list[Any]:
    value = item.get(key) if isinstance(item, Mapping) else item
    if value is None:
        return []
    if not isinstance(value, list):
        raise AnnotationError(f"{where}: expected {key} to be a list, but got {_described(value)}.")
    return value


def _int(item: Any, key: str, where: str, otherwise: int | None = None) -> int:
    value = item.get(key) if isinstance(item, Mapping) else None
    value = otherwise if value is None else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise AnnotationError(f"{where}: expected {key} to be a whole number, but got {_described(value)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _described(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"
