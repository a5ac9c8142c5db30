"""Changes made in a file of CVAT's XML 1.1: what is not changed stays byte for byte.

Written as CVAT writes: two decimals, a keyframe on every tracked frame, and in "for video" each mask as a
track of its own that is closed on the next frame, since of a track of masks CVAT reads the first alone. CVAT
drops the group of masks it reads from "for video"; "for images" and JSON keep it.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

from keepsight.apps.cvat.job.labeled import Figure, Item, Shape, Timeline, Track
from keepsight.apps.cvat.job.merging import Changes
from keepsight.apps.cvat.job.xml_reading import XmlFile
from keepsight.shapes.cvat_xml import SHAPE_TAGS, TAGS, Edit, Element, edited, outline_of, start_tag_end

__all__ = ["written_xml"]

SPACE = b" \t\r\n"


def written_xml(file: XmlFile, changes: Changes) -> bytes:
    """The file with the changes made."""
    edits = [_without(file, shape.raw) for shape in changes.gone]
    for _, track in changes.tracks:
        edits.append(Edit(track.raw.start, track.raw.end, _changed_track(file, track)))
    for before, after in changes.shapes:
        edits += _changed_shape(file, before, after)
    edits += _added_to_images(file, changes.new_shapes) if file.images else _added_tracks(file, changes)
    return edited(file.data, edits)


def _without(file: XmlFile, element: Element) -> Edit:
    """The element and the space before it."""
    start = element.start
    while file.data[start - 1] in SPACE:
        start -= 1
    return Edit(start, element.end, b"")


def _added_tracks(file: XmlFile, changes: Changes) -> list[Edit]:
    numbers = [int(e.attributes["id"]) for e in file.root if e.tag == "track"]
    number, new = max(numbers, default=-1) + 1, b""
    items: list[Item] = [*changes.new_tracks, *changes.new_shapes]
    for item in items:
        given = {"id": str(number), "label": str(item.label), "source": item.source}
        given |= {"group_id": str(item.group)} if item.group else {}
        figures = item.keyframes if isinstance(item, Track) else _closed(item.figure, file.job.timeline)
        new += b"\n  " + _track(given, map(_entry, figures))
        number += 1
    place = file.root.children[-1].end
    return [Edit(place, place, new)] if new else []


def _added_to_images(file: XmlFile, shapes: Iterable[Shape]) -> list[Edit]:
    new: dict[int, bytes] = {}
    for shape in shapes:
        figure = shape.figure
        given = {"label": str(shape.label), "source": shape.source, "occluded": str(int(figure.occluded))}
        given |= {**outline_of(figure.kind, figure.points, figure.rotation), "z_order": str(figure.z_order)}
        given |= {"group_id": str(shape.group)} if shape.group else {}
        new[figure.frame] = new.get(figure.frame, b"") + b"\n    " + _element(figure, given)
    edits = []
    for frame, content in new.items():
        image = file.images[frame]
        end = start_tag_end(file.data, image)
        if file.data[end - 2 : end] == b"/>":
            edits.append(Edit(end - 2, end, b">" + content + b"\n  </image>"))
        elif image.children:
            edits.append(Edit(image.children[-1].end, image.children[-1].end, content))
        else:
            edits.append(Edit(end, end, content))
    return edits


def _changed_track(file: XmlFile, track: Track) -> bytes:
    """A track with other keyframes: those that were read as they were, and between two of them the rest."""
    element: Element = track.raw
    lines = {
        figure.frame: _entry(figure) if figure.raw is None else file.data[figure.raw.start : figure.raw.end]
        for figure in track.keyframes
    }
    frames = [figure.frame for figure in track.keyframes]
    kept = [figure.raw is not None for figure in track.keyframes] + [True]
    others = []
    for child in element:
        content = file.data[child.start : child.end]
        if child.tag not in SHAPE_TAGS:
            others.append(content)
            continue
        # Figures that CVAT interpolated stay only between keyframes that are still what they were.
        frame = int(child.attributes["frame"])
        place = bisect_right(frames, frame)
        if place and kept[place - 1] and kept[place]:
            lines.setdefault(frame, content)
    given = {**element.attributes, "source": track.source}
    return _track(given, [*others, *(lines[frame] for frame in sorted(lines))])


def _changed_shape(file: XmlFile, before: Shape, after: Shape) -> list[Edit]:
    """The group in the start tag, and in "for video" the figures anew if they have changed."""
    element: Element = before.raw
    given = {**element.attributes, **({"group_id": str(after.group)} if after.group else {})}
    same = before.figure == after.figure
    if element.tag == "track":
        if not same:
            figures = _closed(after.figure, file.job.timeline)
            return [Edit(element.start, element.end, _track(given, map(_entry, figures)))]
    elif not same:
        given |= outline_of(after.figure.kind, after.figure.points, after.figure.rotation)
    end = start_tag_end(file.data, element)
    ending = "/>" if file.data[end - 2 : end] == b"/>" else ">"
    return [Edit(element.start, end, f"<{element.tag}{_given(given)}{ending}".encode())]


def _closed(figure: Figure, timeline: Timeline) -> list[Figure]:
    """A shape as "for video" has it: a figure, and the end of it one step later."""
    after = figure.frame + timeline.step
    closing = replace(figure, frame=after, outside=True)
    return [figure, closing] if after <= timeline.last else [figure]


def _track(given: dict[str, str], lines: Iterable[bytes]) -> bytes:
    body = b"".join(b"\n    " + line for line in lines)
    return f"<track{_given(given)}>".encode() + body + b"\n  </track>"


def _entry(figure: Figure) -> bytes:
    """A keyframe of a track."""
    given = {
        "frame": str(figure.frame),
        "keyframe": "1",
        "outside": str(int(figure.outside)),
        "occluded": str(int(figure.occluded)),
        **outline_of(figure.kind, figure.points, figure.rotation),
        "z_order": str(figure.z_order),
    }
    return _element(figure, given)


def _element(figure: Figure, given: dict[str, str]) -> bytes:
    tag = TAGS[figure.kind]
    inner = "".join(
        f"\n      <attribute name={quoteattr(str(key))}>{escape(value)}</attribute>"
        for key, value in figure.attributes
    )
    end = "\n    " if inner else ""
    return f"<{tag}{_given(given)}>{inner}{end}</{tag}>".encode()


def _given(attributes: dict[str, str]) -> str:
    return "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
