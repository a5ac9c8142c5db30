"""Which formats there are, and what writes and reads each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange import coco, cvat, davis, jsonlines, outgoing
from keepsight.apps.annotator.exchange.incoming import Incoming
from keepsight.apps.annotator.project import Project
from keepsight.errors import UsageError

__all__ = ["FORMATS", "Format", "Found", "read_file", "write_file"]


@dataclass(frozen=True)
class Found:
    """What a file holds.

    Attributes:
        objects: those with shapes.
        passed_over: how many shapes have no place in the video.
    """

    objects: list[Incoming]
    passed_over: int


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: as people read it.
        suffix: added to the video's name.
        media_type: of the file.
        write: writes a project to a file.
        read: reads a file, None where it holds no shapes.
    """

    name: str
    suffix: str
    media_type: str
    write: Callable[[Project, Clip, Path], None]
    read: Callable[[Path, Clip], list[Incoming]] | None = None


FORMATS = {
    "cvat": Format("CVAT for video 1.1", ".xml", "application/xml", cvat.write, cvat.read),
    "coco": Format("COCO / YouTube-VIS", ".coco.json", "application/json", outgoing.write_coco, coco.read),
    "davis": Format("DAVIS masks", ".davis.zip", "application/zip", outgoing.write_davis, davis.read),
    "jsonl": Format("JSON lines", ".jsonl", "application/jsonl", outgoing.write_json_lines, jsonlines.read),
    "overlay": Format("overlay video", ".overlay.mp4", "video/mp4", outgoing.write_overlay),
}


def write_file(name: str, project: Project, clip: Clip, path: Path) -> None:
    """Writes a project as a file of a format.

    Raises:
        OutputError: the file cannot be written, or the format cannot hold what the project has.
        SourceError: a frame that the file needs cannot be read.
    """
    FORMATS[name].write(project, clip, path)


def read_file(name: str, path: Path, clip: Clip) -> Found:
    """Reads a file of a format.

    Raises:
        UsageError: the format holds pictures of results only.
        AnnotationError: the file is not of the format, or of another video.
    """
    format = FORMATS[name]
    if format.read is None:
        raise UsageError(f"Expected a format that holds shapes, but the {format.name} holds pictures only.")
    objects = format.read(path, clip)
    return Found([each for each in objects if each.figures], sum(each.passed_over for each in objects))
