"""CVAT's XML 1.1: "for video" written, "for video" and "for images" read.

CVAT knows no tracks of masks: it reads the first of a track alone. So every mask, as every shape that stands
for its frame alone, is a track of its own that is closed on the next frame, and a group tells which belong
together; CVAT drops that group of masks when it reads them. Frames are those of the video.

CVAT keeps a source of tracks, not of keyframes. So every keyframe has an attribute of ours that says who made
it. CVAT reads attributes by their names and passes over this one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast
from xml.etree import ElementTree

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Figure, Incoming
from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.project import HAND_MADE, KINDS, Kind, Project, Shape, Subject
from keepsight.errors import AnnotationError
from keepsight.export.files import output_errors
from keepsight.shapes.cvat_xml import (
    SHAPE_TAGS,
    TAGS,
    Element,
    number_in,
    outline_in,
    outline_of,
    parsed,
    text_in,
    whole_in,
    whole_number,
)

__all__ = ["read", "write"]

SOURCE_MARK = "keepsight-source"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STEP = re.compile(r"\s*step\s*=\s*([1-9][0-9]{0,8})\s*")


def write(project: Project, clip: Clip, path: Path) -> None:
    """Writes "CVAT for video 1.1".

    Raises:
        OutputError: the file cannot be written.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    root.append(_meta(project, clip))
    for subject in project.subjects():
        shapes = project.shapes(0, clip.frames, subject.id)  # the video may have become shorter
        if subject.tracked and subject.kind != "mask":
            _add_track(root, subject, shapes, grouped=False)
            continue
        if subject.tracked:  # masks are held between keyframes, which CVAT would not do
            held = (seen(project, subject, frame) for frame in range(clip.frames))
            shapes = [shape for shape in held if shape is not None]
        for shape in shapes:
            if not shape.outside:
                _add_track(root, subject, _closed(shape, clip.frames), grouped=len(shapes) > 1)
    ElementTree.indent(root)
    with output_errors(path):
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _meta(project: Project, clip: Clip) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    said = {
        "name": _writable(clip.info.name),
        "size": str(clip.frames),
        "mode": "interpolation",
        "start_frame": "0",
        "stop_frame": str(clip.frames - 1),
    }
    for tag, text in said.items():
        ElementTree.SubElement(task, tag).text = text
    labels = ElementTree.SubElement(task, "labels")
    colours: dict[str, str] = {}
    for subject in project.subjects():
        colours.setdefault(_writable(subject.name), subject.colour)
    for name, colour in colours.items():
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "color").text = colour
        ElementTree.SubElement(label, "attributes")
    size = ElementTree.SubElement(task, "original_size")
    ElementTree.SubElement(size, "width").text = str(clip.info.width)
    ElementTree.SubElement(size, "height").text = str(clip.info.height)
    return meta


def _add_track(root: ElementTree.Element, subject: Subject, keys: Sequence[Shape], *, grouped: bool) -> None:
    if not keys:
        return
    by_hand = all(shape.hand_made for shape in keys)
    label, source = _writable(subject.name), "manual" if by_hand else "auto"
    given = {"id": str(len(root) - 2), "label": label, "source": source}
    track = ElementTree.SubElement(root, "track", given | ({"group_id": str(subject.id)} if grouped else {}))
    points: tuple[float, ...] = ()
    for shape in keys:
        points = shape.points or points  # an outside keyframe may be without; CVAT wants an outline
        if points:
            flags = {"frame": shape.frame, "keyframe": 1, "outside": int(shape.outside), "occluded": 0}
            entry = {key: str(value) for key, value in flags.items()}
            entry |= outline_of(subject.kind, points) | {"z_order": "0", SOURCE_MARK: shape.source}
            ElementTree.SubElement(track, TAGS[subject.kind], entry)


def _writable(text: str) -> str:
    """A text without the characters that no XML can hold, such as control characters."""
    return _NO_XML.sub("?", text)


def _closed(shape: Shape, frames: int) -> list[Shape]:
    """A shape that stands alone, and its end on the next frame if there is one."""
    ended = replace(shape, frame=shape.frame + 1, outside=True)
    return [shape, ended] if ended.frame < frames else [shape]


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads rectangles, polygons and masks; other kinds are passed over.

    Tracks stay tracks. Shapes of one group, label and kind are one object, any other is an object of its own.
    What CVAT calls "manual" counts as made by hand, where no keyframe says otherwise.

    Raises:
        AnnotationError: it is no such file, of another size, or an entry of it is wrong.
    """
    root = parsed(path.read_bytes(), "the file")
    if root.tag != "annotations":
        raise AnnotationError(f"Expected CVAT's XML, <annotations>, but it begins with <{root.tag}>.")
    _require_size(root, clip)
    objects: dict[Any, Incoming] = {}
    stretch = _stretch_of(root, clip)
    for number, element in enumerate(root):
        if element.tag == "track":
            _take_track(objects, number, element, clip, stretch)
        elif element.tag == "image":
            _take_image(objects, element, clip)
    return list(objects.values())


class _Stretch(NamedTuple):
    """The frames that a file is of: its last one, and how far each is from the next."""

    last: int
    step: int


def _stretch_of(root: Element, clip: Clip) -> _Stretch:
    for meta in ("meta/task", "meta/job"):
        stop, rule = (root.text_of(f"{meta}/{tag}") for tag in ("stop_frame", "frame_filter"))
        if stop.isascii() and stop.isdecimal():
            found = _STEP.fullmatch(rule)
            return _Stretch(whole_number(stop, "stop_frame"), int(found[1]) if found else 1)
    return _Stretch(clip.frames - 1, 1)


def _require_size(root: Element, clip: Clip) -> None:
    sizes = [
        (e.attributes.get("width", ""), e.attributes.get("height", "")) for e in root if e.tag == "image"
    ]
    for size in ("meta/task/original_size", "meta/job/original_size"):
        sizes.append((root.text_of(f"{size}/width"), root.text_of(f"{size}/height")))
    wanted = (str(clip.info.width), str(clip.info.height))
    for width, height in sizes:
        if width and height and (width, height) != wanted:
            raise AnnotationError(
                f"Expected annotations of frames of {' x '.join(wanted)} pixels, but they are of "
                f"{width} x {height}. Open the video that they belong to."
            )


def _take_track(
    objects: dict[Any, Incoming], number: int, element: Element, clip: Clip, stretch: _Stretch
) -> None:
    where = f"track {element.attributes.get('id', number)}"
    entries = [e for e in element if e.tag in SHAPE_TAGS and e.attributes.get("keyframe") == "1"]
    if not entries or SHAPE_TAGS[entries[0].tag] not in KINDS:
        return
    kind = cast(Kind, SHAPE_TAGS[entries[0].tag])
    label, by_hand = text_in(element, "label", where), element.attributes.get("source") == "manual"
    figures = [_figure(e, whole_in(e, "frame", where), by_hand, where) for e in entries]
    alone = kind == "mask" or (_stands_alone(figures, stretch, entries) and not _is_followed(element))
    group = whole_in(element, "group_id", where, 0) if alone else 0
    key = ("group", group, label, kind) if group else ("track", number)
    known = objects.setdefault(key, Incoming(label, kind, tracked=not alone))
    for figure in figures[:1] if alone else figures:
        known.add_figure(figure, clip)


def _stands_alone(figures: Sequence[Figure], stretch: _Stretch, entries: Sequence[Element]) -> bool:
    """Whether the keyframes are how a shape is written: one frame, closed on the next one if there is one."""
    first, *rest = figures
    if first.outside or len(rest) > 1:
        return False
    following = first.frame + stretch.step
    if rest:
        return rest[0].outside and rest[0].frame == following
    # CVAT does not close a shape on the last frame but one either; we do.
    return following > stretch.last or (
        following == stretch.last and SOURCE_MARK not in entries[0].attributes
    )


def _is_followed(element: Element) -> bool:
    """Whether a track is seen between keyframes, as CVAT writes tracks but no shapes."""
    return any(
        entry.attributes.get("keyframe") == "0" and entry.attributes.get("outside") != "1"
        for entry in element
        if entry.tag in SHAPE_TAGS
    )


def _take_image(objects: dict[Any, Incoming], image: Element, clip: Clip) -> None:
    frame = whole_in(image, "id", "an image")
    name = image.attributes.get("name", "").rsplit("/", 1)[-1]
    names = clip.info.file_names or ()
    frame = names.index(name) if name in names else frame
    for element in image:
        if SHAPE_TAGS.get(element.tag) not in KINDS:
            continue
        kind = cast(Kind, SHAPE_TAGS[element.tag])
        where = f"image {frame}"
        label, group = text_in(element, "label", where), whole_in(element, "group_id", where, 0)
        by_hand = element.attributes.get("source") == "manual"
        key = ("group", group, label, kind) if group else ("alone", len(objects))
        known = objects.setdefault(key, Incoming(label, kind, tracked=False))
        known.add_figure(_figure(element, frame, by_hand, where), clip)


def _figure(element: Element, frame: int, by_hand: bool, where: str) -> Figure:
    turned = number_in(element.attributes.get("rotation", "0"), where)
    if element.tag == "box" and turned % 180:
        raise AnnotationError(f"{where}: a turned rectangle cannot be imported. Make it a polygon in CVAT.")
    points = outline_in(element, f"{where}, frame {frame}")
    by_hand = element.attributes.get(SOURCE_MARK, "manual" if by_hand else "auto") in HAND_MADE
    return Figure(frame, points, outside=element.attributes.get("outside") == "1", by_hand=by_hand)
