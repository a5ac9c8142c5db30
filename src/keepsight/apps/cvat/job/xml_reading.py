"""CVAT's XML 1.1, "for video" and "for images", as values.

Frames are the file's own numbers: those of the video (start frame and step counted in), or an image's place
in its task. "For video" writes everything as a track. A track of one visible figure, closed on the next
frame, is how it writes a shape, and is read as one; so is every track of a mask, of which CVAT reads the
first alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from keepsight.apps.cvat.job.labeled import Attributes, Figure, Job, Label, Shape, Timeline, Track
from keepsight.apps.cvat.job.mark import COARSE
from keepsight.errors import AnnotationError
from keepsight.shapes.cvat_xml import (
    SHAPE_TAGS,
    Element,
    number_in,
    outline_in,
    parsed,
    text_in,
    whole_in,
    whole_number,
)

__all__ = ["XmlFile", "read_xml"]


@dataclass(frozen=True, eq=False)
class XmlFile:
    """A file that was read.

    Attributes:
        data: its bytes.
        root: its elements.
        job: its values.
        images: of "for images", the image elements by frame.
    """

    data: bytes
    root: Element
    job: Job
    images: dict[int, Element]


def read_xml(data: bytes, name: str, frame_count: int) -> XmlFile:
    """Reads a file that CVAT exported.

    Args:
        data: the file.
        name: for messages.
        frame_count: of the video; used where the file does not say which frames there are.

    Raises:
        AnnotationError: it is no such file, or an entry of it is wrong.
    """
    root = parsed(data, name)
    if root.tag != "annotations":
        raise AnnotationError(
            f"Expected {name} to be CVAT's XML, <annotations>, but it begins with <{root.tag}>. Export the "
            f"job as 'CVAT for video 1.1' or 'CVAT for images 1.1'."
        )
    if root.find("meta/project") is not None:
        raise AnnotationError(
            f"{name} is the export of a project, whose tasks all count their frames anew. Export a task or "
            f"job."
        )
    meta = root.find("meta/task") or root.find("meta/job") or Element("", {}, 0)
    images = {whole_in(e, "id", name): e for e in root if e.tag == "image"}
    timeline = _timeline(meta, sorted(images), frame_count, name)
    found = [_read_track(e, timeline, name) for e in root if e.tag == "track"]
    shapes = [item for item in found if isinstance(item, Shape)]
    tracks = [item for item in found if isinstance(item, Track)]
    for frame, image in images.items():
        shapes += [
            _read_shape(child, frame, len(shapes) + place, name)
            for place, child in enumerate(child for child in image if child.tag in SHAPE_TAGS)
        ]
    grouped = [e for element in root if element.tag in ("track", "image") for e in (element, *element)]
    job = Job(
        name=name,
        timeline=timeline,
        labels=_labels(meta),
        shapes=tuple(shapes),
        tracks=tuple(tracks),
        mark=COARSE,
        size=_size(meta, images, name),
        highest_group=max([whole_in(e, "group_id", name, 0) for e in grouped], default=0),
        has_tracks=not images,
    )
    return XmlFile(data, root, job, images)


def _timeline(meta: Element, images: Sequence[int], frame_count: int, name: str) -> Timeline:
    rule = meta.text_of("frame_filter").replace(" ", "")
    step = whole_number(rule.removeprefix("step="), f"{name}, frame_filter") if rule else 1
    first = whole_number(meta.text_of("start_frame") or "0", f"{name}, start_frame")
    last = whole_number(meta.text_of("stop_frame") or str(frame_count - 1), f"{name}, stop_frame")
    if images:
        first, last = min(first, images[0]), max(last, images[-1])
    if step < 1 or last < first:
        raise AnnotationError(f"{name}: expected frames, but got {first} to {last}, every {step}.")
    last = first + (last - first) // step * step
    return Timeline(tuple(images) or range(first, last + 1, step), first, last, step)


def _labels(meta: Element) -> tuple[Label, ...]:
    labels = []
    for label in meta.find("labels") or ():
        attributes = list(label.find("attributes") or ())
        moving = [a.text_of("name") for a in attributes if a.text_of("mutable").lower() == "true"]
        labels.append(Label(label.text_of("name"), label.text_of("name"), frozenset(moving)))
    return tuple(labels)


def _size(meta: Element, images: dict[int, Element], name: str) -> tuple[int, int] | None:
    """The frames' size: of a video; images say each their own, and the ones needed are compared later."""
    width, height = (meta.text_of(f"original_size/{side}") for side in ("width", "height"))
    if width and height and not images:
        return whole_number(width, f"{name}, width"), whole_number(height, f"{name}, height")
    return None


def _read_track(element: Element, timeline: Timeline, name: str) -> Track | Shape | None:
    """A track or shape; None for a track that has no keyframe, and so is nowhere."""
    number = whole_in(element, "id", name)
    where = f"{name}, track {number}"
    entries = [child for child in element if child.tag in SHAPE_TAGS]
    keyframes = [_figure(child, where) for child in entries if child.attributes.get("keyframe") == "1"]
    keyframes.sort(key=lambda figure: figure.frame)
    frames = [figure.frame for figure in keyframes]
    if not frames:
        return None
    if len(set(frames)) < len(frames):
        raise AnnotationError(f"{where}: expected keyframes on different frames, but got two on one frame.")
    label, source = text_in(element, "label", where), element.attributes.get("source", "manual")
    group = whole_in(element, "group_id", where, 0)
    if keyframes[0].kind == "mask" or _is_lone(keyframes, len(entries), timeline):
        return Shape(replace(keyframes[0], raw=None), label, group, source, number, element)
    return Track(tuple(keyframes), label, group, source, (), number, element)


def _is_lone(keyframes: Sequence[Figure], entries: int, timeline: Timeline) -> bool:
    """Whether this is a shape as "for video" writes it; at the end of a job CVAT does not close it."""
    first, *others = keyframes
    if first.outside or entries != len(keyframes):
        return False
    if not others:
        return first.frame + 2 * timeline.step > timeline.last
    closing = others[0]
    same = closing.points == first.points and closing.frame == first.frame + timeline.step
    return len(others) == 1 and closing.outside and same


def _read_shape(element: Element, frame: int, number: int, name: str) -> Shape:
    where = f"{name}, image {frame}"
    figure = replace(_figure(element, where, frame), raw=None)
    source = element.attributes.get("source", "manual")
    label, group = text_in(element, "label", where), whole_in(element, "group_id", where, 0)
    return Shape(figure, label, group, source, number, element)


def _figure(element: Element, where: str, frame: int | None = None) -> Figure:
    given = element.attributes
    frame = whole_in(element, "frame", where) if frame is None else frame
    where = f"{where}, frame {frame}, {element.tag}"
    return Figure(
        frame=frame,
        kind=SHAPE_TAGS[element.tag],
        points=outline_in(element, where),
        rotation=number_in(given.get("rotation", "0"), where),
        outside=given.get("outside") == "1",
        occluded=given.get("occluded") == "1",
        z_order=whole_in(element, "z_order", where, 0),
        attributes=_attributes(element),
        raw=element,
    )


def _attributes(element: Element) -> Attributes:
    return tuple((a.attributes.get("name", ""), a.text) for a in element if a.tag == "attribute")
