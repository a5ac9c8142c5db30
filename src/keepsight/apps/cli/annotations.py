"""Readers of annotation files, all into the same entries.

Understood are
- keepsight's own list, `[{"frame": 0, "object": 1, "name": "dog", "box": [x1, y1, x2, y2],
  "points": [[x, y], ...], "labels": [1, ...], "mask": "dog.png"}, ...]`, where every key may be left out
  but one of box, points and mask is needed, and mask paths are relative to the file;
- the script interface's `{"annotation": {"object": [{"name", "bndbox": {"xmin", "ymin", "xmax", "ymax"}}]}}`;
- LabelMe JSON (rectangles, polygons, points);
- Pascal VOC XML.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from keepsight.apps.cli.prompts import Entry, read_mask
from keepsight.errors import AnnotationError, PromptError
from keepsight.types import Box, Mask, Points

__all__ = ["read_annotation"]

KEYS = {"frame", "object", "name", "box", "points", "labels", "mask"}
EDGES = ("xmin", "ymin", "xmax", "ymax")
FORMS = (
    'a list of prompts, {"annotation": {"object": [...]}}, LabelMe\'s {"shapes": [...]}, or a Pascal VOC .xml'
)

Reader = Callable[[Any, Entry], Entry]


def read_annotation(path: Path, frame: int = 0) -> list[Entry]:
    """Reads an annotation file of any understood form.

    Args:
        path: the file; `.xml` is read as Pascal VOC, everything else as JSON.
        frame: the frame that entries without a frame of their own refer to.

    Raises:
        AnnotationError: no such file, no JSON or XML, of no understood form, without objects, or with
            an entry that is wrong; the message names the file and the entry's position.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            f"Expected an annotation file, but '{path}' cannot be read ({error})."
        ) from error
    items, reader = _voc(path, data) if path.suffix.lower() == ".xml" else _json(path, data)
    if not items:
        raise AnnotationError(f"'{path}': expected at least one object, but the list is empty.")
    entries: list[Entry] = []
    for position, item in enumerate(items, 1):
        blank = Entry(f"'{path}', object {position}", frame)
        try:
            entry = reader(item, blank)
            entry.prompt()
        except PromptError as error:
            raise AnnotationError(f"{blank.origin}: {error}") from error
        entries.append(entry)
    _refuse_duplicates(entries)
    return entries


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    seen: dict[tuple[int, str | int], str] = {}
    for entry in entries:
        who = entry.name if entry.object_id is None else entry.object_id
        if who is not None and seen.setdefault((entry.frame, who), entry.origin) != entry.origin:
            raise AnnotationError(
                f"{entry.origin}: duplicate object name '{who}', first used by {seen[entry.frame, who]}. "
                f"Give every object a name of its own."
            )


def _json(path: Path, data: bytes) -> tuple[list[Any], Reader]:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise AnnotationError(f"'{path}' is not valid JSON: {error}.") from error
    if isinstance(document, list):
        return document, lambda item, blank: _own_entry(item, blank, path.parent)
    if isinstance(document, dict) and isinstance(document.get("annotation"), dict):
        return _objects(path, document["annotation"]), _boxed_entry
    if isinstance(document, dict) and isinstance(document.get("shapes"), list):
        shape = document.get("imageHeight"), document.get("imageWidth")
        return document["shapes"], lambda item, blank: _labelme_entry(item, blank, shape)
    raise AnnotationError(f"'{path}': expected {FORMS}, but got {_described(document)}.")


def _objects(path: Path, annotation: dict[str, Any]) -> list[Any]:
    objects = annotation.get("object")
    if isinstance(objects, dict):
        return [objects]
    if isinstance(objects, list):
        return objects
    raise AnnotationError(
        f"'{path}': expected objects under 'annotation.object', but got {_described(objects)}."
    )


def _voc(path: Path, data: bytes) -> tuple[list[Any], Reader]:
    # Entities are how a small XML grows without bound; no annotation tool declares any.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise AnnotationError(f"'{path}': expected plain Pascal VOC XML, but it declares a document type.")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise AnnotationError(f"'{path}' is not valid XML: {error}.") from error
    return [_voc_object(element) for element in root.iter("object")], _boxed_entry


def _voc_object(element: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {} if element.find("name") is None else {"name": element.findtext("name")}
    box = element.find("bndbox")
    if box is not None:
        found["bndbox"] = {child.tag: child.text for child in box}
    return found


def _boxed_entry(item: Any, blank: Entry) -> Entry:
    """An object of the script interface or of Pascal VOC: a name and a bndbox."""
    if not isinstance(item, dict):
        raise PromptError(f"expected an object with 'name' and 'bndbox', but got {_described(item)}.")
    box = item.get("bndbox")
    if not isinstance(box, dict) or any(edge not in box for edge in EDGES):
        raise PromptError(f"expected 'bndbox' with {', '.join(EDGES)}, but got {_described(box)}.")
    if "name" not in item:
        raise PromptError("expected a 'name', but there is none.")
    return replace(
        blank, name=_name(item["name"]), box=Box(*(_number(box[edge], f"bndbox.{edge}") for edge in EDGES))
    )


def _own_entry(item: Any, blank: Entry, folder: Path) -> Entry:
    if not isinstance(item, dict):
        raise PromptError(f"expected an object with some of {sorted(KEYS)}, but got {_described(item)}.")
    if item.keys() - KEYS:
        raise PromptError(f"unknown key '{min(item.keys() - KEYS)}'; known are {sorted(KEYS)}.")
    entry = replace(
        blank,
        frame=_whole(item.get("frame", blank.frame), "frame", 0),
        object_id=_whole(item["object"], "object", 1) if item.get("object") is not None else None,
        name=_name(item["name"]) if item.get("name") is not None else None,
        box=Box(*_numbers(item["box"], "box", 4)) if item.get("box") is not None else None,
        points=_points(item),
    )
    return entry if item.get("mask") is None else replace(entry, mask=_own_mask(item["mask"], entry, folder))


def _points(item: dict[str, Any]) -> Points | None:
    points, labels = item.get("points"), item.get("labels")
    if points is None and labels is None:
        return None
    if not isinstance(points, list) or not isinstance(labels, list | None):
        raise PromptError("expected 'points' as [[x, y], ...] and 'labels' as [1, 0, ...], one per point.")
    xy = [_numbers(point, f"points[{index}]", 2) for index, point in enumerate(points)]
    return Points(xy, None if labels is None else [_whole(label, "labels", 0) for label in labels])


def _own_mask(value: Any, entry: Entry, folder: Path) -> Mask:
    if not isinstance(value, str):
        raise PromptError(f"expected 'mask' to be the path of a PNG, but got {_described(value)}.")
    masks = read_mask(folder / value, "mask")
    if len(masks) == 1:
        return next(iter(masks.values()))
    if entry.object_id in masks:
        return masks[entry.object_id]
    raise PromptError(f"'{value}' holds the objects {sorted(masks)}; say which is meant with 'object'.")


def _labelme_entry(item: Any, blank: Entry, shape: tuple[Any, Any]) -> Entry:
    """A LabelMe shape (https://github.com/wkentaro/labelme): label, shape_type, points, group_id."""
    if not isinstance(item, dict) or not isinstance(item.get("points"), list) or "label" not in item:
        raise PromptError(f"expected a shape with 'label' and 'points', but got {_described(item)}.")
    kind = item.get("shape_type", "polygon")
    xy = np.array(
        [_numbers(point, f"points[{index}]", 2) for index, point in enumerate(item["points"])]
    ).reshape(-1, 2)
    group = item.get("group_id")
    named = replace(blank, name=_name(item["label"]) + ("" if group is None else f" {group}"))
    if kind == "rectangle" and len(xy) >= 2:
        return replace(named, box=Box(*xy.min(axis=0).tolist(), *xy.max(axis=0).tolist()))
    if kind in ("point", "points") and len(xy):
        return replace(named, points=Points(xy))
    if kind == "polygon" and len(xy) >= 3:
        return replace(named, mask=_filled(xy, shape))
    raise PromptError(
        f"expected a rectangle of 2 corners, a polygon of at least 3 or a point, but got a {kind} with "
        f"{len(xy)}."
    )


def _filled(xy: Any, shape: tuple[Any, Any]) -> Mask:
    from keepsight.shapes import polygon_to_mask

    height, width = (
        _whole(side, name, 1) for side, name in zip(shape, ("imageHeight", "imageWidth"), strict=True)
    )
    return Mask(polygon_to_mask(xy, height, width))


def _name(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise PromptError(f"expected a name, but got {_described(value)}.")


def _number(value: Any, what: str) -> float:
    """A number, or a text that is one."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise PromptError(f"expected '{what}' to be a number, but got {_described(value)}.")


def _numbers(value: Any, what: str, count: int) -> list[float]:
    if not isinstance(value, list) or len(value) != count:
        raise PromptError(f"expected '{what}' to be {count} numbers, but got {_described(value)}.")
    return [_number(part, what) for part in value]


def _whole(value: Any, what: str, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise PromptError(f"expected '{what}' to be a whole number from {least} on, but got {_described(value)}.")


def _described(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
