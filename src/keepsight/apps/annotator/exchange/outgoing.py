"""The project, frame by frame, for the writers that keepsight has."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import ImageColor

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.placing import file_stems
from keepsight.apps.annotator.interpolation import seen
from keepsight.apps.annotator.project import Project, Subject
from keepsight.errors import UsageError
from keepsight.export import CocoWriter, JsonLinesWriter, MaskWriter, ResultWriter, VideoWriter
from keepsight.export.files import output_errors
from keepsight.export.overlay import Painter
from keepsight.export.writer import frame_stem
from keepsight.shapes import figure_to_mask
from keepsight.types import Frame, FrameResult, ObjectResult

__all__ = ["write_coco", "write_davis", "write_json_lines", "write_overlay"]

LARGEST_PIXEL = 255


def write_coco(project: Project, clip: Clip, path: Path) -> None:
    """One YouTube-VIS JSON file; see `CocoWriter`."""
    writer = CocoWriter(path, _names(project), file_name=lambda frame: _file_name(clip, frame))
    _write(writer, _results(project, clip))


def write_json_lines(project: Project, clip: Clip, path: Path) -> None:
    """Keepsight's JSON lines with masks; see `JsonLinesWriter`."""
    writer = JsonLinesWriter(path, _names(project), file_name=lambda frame: _file_name(clip, frame), rle=True)
    _write(writer, _results(project, clip))


def write_overlay(project: Project, clip: Clip, path: Path) -> None:
    """The video with everything drawn in, in the project's colours; see `VideoWriter`."""
    colors = {subject.id: ImageColor.getrgb(subject.colour)[:3] for subject in project.subjects()}
    painter = Painter(_names(project), colors)
    _write(VideoWriter(path, draw=painter), _results(project, clip, pictures=True))


def write_davis(project: Project, clip: Clip, path: Path) -> None:
    """A zip of DAVIS palette masks, one per frame, named as the images are; see `MaskWriter`.

    Pixels hold 255 objects: where ids go beyond that, objects are numbered anew in their order.
    """
    subjects = project.subjects()
    if len(subjects) > LARGEST_PIXEL:
        raise UsageError(
            f"Expected at most {LARGEST_PIXEL} objects, as many as a palette has, but there are "
            f"{len(subjects)}. Export COCO instead."
        )
    numbers = {subject.id: subject.id for subject in subjects}
    if any(number > LARGEST_PIXEL for number in numbers):
        numbers = {subject.id: place for place, subject in enumerate(subjects, 1)}
    stems = file_stems(clip) or [frame_stem(frame) for frame in range(clip.frames)]
    with output_errors(path), TemporaryDirectory(dir=path.parent) as folder:
        _write(MaskWriter(folder), _results(project, clip, numbers=numbers))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:  # PNGs are compressed already
            for frame in range(clip.frames):
                packed.write(Path(folder) / f"{frame_stem(frame)}.png", f"{stems[frame]}.png")


def _write(writer: ResultWriter, results: Iterator[FrameResult]) -> None:
    with writer:
        for result in results:
            writer.write(result)


def _names(project: Project) -> dict[int, str]:
    return {subject.id: subject.name for subject in project.subjects()}


def _file_name(clip: Clip, frame: int) -> str:
    names = clip.info.file_names
    return f"{frame_stem(frame)}.jpg" if names is None else names[frame]


def _results(
    project: Project, clip: Clip, *, pictures: bool = False, numbers: Mapping[int, int] | None = None
) -> Iterator[FrameResult]:
    """Every frame with all objects seen on it.

    Args:
        project: what is annotated.
        clip: the video.
        pictures: whether the frames' pictures are needed; else they are black.
        numbers: other ids for the objects.
    """
    for frame in _frames(clip, pictures):
        objects = {}
        for subject in project.subjects():
            found = _found(project, clip, subject, frame.index)
            if found is not None:
                objects[subject.id if numbers is None else numbers[subject.id]] = found
        yield FrameResult(frame.index, frame.time, frame.image, objects)


def _found(project: Project, clip: Clip, subject: Subject, frame: int) -> ObjectResult | None:
    shape = seen(project, subject, frame)
    if shape is None:
        return None
    mask = figure_to_mask(subject.kind, shape.points, clip.info.height, clip.info.width)
    score, presence = (1.0 if value is None else value for value in (shape.score, shape.presence))
    return ObjectResult(mask, score, presence, bool(mask.any()))


def _frames(clip: Clip, pictures: bool) -> Iterator[Frame]:
    if pictures:
        with clip.opened() as source:
            yield from source.frames()
        return
    black = np.broadcast_to(np.zeros(3, np.uint8), (clip.info.height, clip.info.width, 3))
    for index in range(clip.frames):
        yield Frame(index, None, black)
