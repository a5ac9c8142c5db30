"""A job as a file that CVAT exported, XML or JSON, with the video or the images beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from keepsight.apps.cvat.job.frames import FilePictures, JobFrames
from keepsight.apps.cvat.job.labeled import Job, Label, Timeline
from keepsight.apps.cvat.job.merging import Changes
from keepsight.apps.cvat.job.rest import job_of, labels_of, merged
from keepsight.apps.cvat.job.xml_reading import XmlFile, read_xml
from keepsight.apps.cvat.job.xml_writing import written_xml
from keepsight.errors import AnnotationError, FrameIndexError, OutputError, SourceError, UsageError
from keepsight.export.files import new_file, output_errors
from keepsight.video import FrameSource, open_source

__all__ = ["FileJob", "Files"]


@dataclass(frozen=True)
class Files:
    """Which files.

    Attributes:
        annotations: what CVAT exported: XML 1.1, or the JSON of GET /api/jobs/ID/annotations.
        video: the video, or the folder of images.
        output: where the tracked annotations go; None where nothing is written.
        overwrite: whether `output` may exist.
        labels: of JSON: the answer of GET /api/labels?job_id=ID.
        video_start: of JSON: the video's frame that is the job's frame 0.
        video_step: of JSON: how many of the video's frames a frame of the job goes on.
    """

    annotations: Path
    video: str
    output: Path | None = None
    overwrite: bool = False
    labels: Path | None = None
    video_start: int = 0
    video_step: int = 1


class FileJob:
    """A job that lies in files; the video stays open until `close` or until its frames are closed.

    Args:
        files: which.

    Raises:
        AnnotationError: the annotations cannot be read, or are of another video.
        SourceError: the video cannot be read.
        UsageError: options that are for JSON only.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self.name = f"'{files.annotations}'"
        data = _read(files.annotations)
        is_xml = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"
        if is_xml and (files.labels or (files.video_start, files.video_step) != (0, 1)):
            raise UsageError(
                "--labels, --video-start and --video-step are for JSON; XML has its labels, and counts its "
                "video's frames."
            )
        self._source: FrameSource = open_source(files.video)
        try:
            if self._source.info.live:
                raise SourceError(f"Expected a video or a folder of images, but {files.video} is live.")
            self._content: XmlFile | Mapping[str, Any]
            if is_xml:
                self._content = read_xml(data, self.name, self._source.count())
                self.job: Job = self._content.job
            else:
                self._content, self.job = self._read_json(data)
            self._check_size()
        except BaseException:
            self._source.close()
            raise
        self._indent = 2 if b"\n " in data[:200] else None

    def close(self) -> None:
        """Lets go of the video."""
        self._source.close()

    def size_of(self, numbers: Sequence[int]) -> tuple[int, int]:
        """The (width, height) of frames, once it is known that the video has them.

        Raises:
            SourceError: it has not.
        """
        count = self._source.count()
        for number in numbers:
            place = self._place(number)
            self._check_image(number)
            if not 0 <= place < count:
                raise FrameIndexError(
                    f"Expected {self._files.video} to have frame {number} of {self.name}, its own frame "
                    f"{place}, but it has {count} frames. Is it the video that was annotated?"
                )
        return self._source.info.width, self._source.info.height

    def open(self, numbers: Sequence[int], size: tuple[int, int]) -> JobFrames:
        """The frames; closing them closes the video."""
        places = [self._place(number) for number in numbers]
        return JobFrames(FilePictures(self._source), places, size, self._source.info.name)

    def check_place(self) -> None:
        """Refuses an output that exists, or has no folder to lie in.

        Raises:
            OutputError: so it is.
            UsageError: there is none.
        """
        output = self._files.output
        if output is None:
            raise UsageError("Expected a file to write to. Give --output, or --dry-run to write nothing.")
        if output.exists() and not self._files.overwrite:
            raise OutputError(f"'{output}' exists. Choose another --output, or replace it with --overwrite.")
        if not output.parent.is_dir():
            raise OutputError(
                f"The folder '{output.parent}' does not exist: create it, or choose another one."
            )

    def write(self, changes: Changes) -> str:
        """Writes the annotations with the changes made and says where.

        Raises:
            OutputError: they cannot be written; what lay there before is as it was.
        """
        if isinstance(self._content, XmlFile):
            data = written_xml(self._content, changes)
        else:
            content = merged(self._content, changes)
            data = json.dumps(content, ensure_ascii=False, indent=self._indent).encode()
        output = self._files.output or self._files.annotations
        with output_errors(output), new_file(output) as file:
            file.write(data)
        return str(output)

    def _read_json(self, data: bytes) -> tuple[Mapping[str, Any], Job]:
        start, step = self._files.video_start, self._files.video_step
        last = (self._source.count() - 1 - start) // step
        if last < 0:
            raise UsageError(
                f"--video-start {start}: {self._files.video} has {self._source.count()} frames only."
            )
        labels: tuple[Label, ...] = ()
        if self._files.labels is not None:
            name = f"'{self._files.labels}'"
            labels = labels_of(_parsed(_read(self._files.labels), name), name)
        content = _parsed(data, self.name)
        return content, job_of(content, labels, Timeline(range(last + 1), 0, last), None, self.name)

    def _check_size(self) -> None:
        info, size = self._source.info, self.job.size
        if size is not None and size != (info.width, info.height):
            raise AnnotationError(
                f"{self.name} is of a video of {size[0]} x {size[1]} pixels, but {self._files.video} has "
                f"{info.width} x {info.height}. Is it the video that was annotated?"
            )

    def _check_image(self, number: int) -> None:
        """Of "for images" each image says its size."""
        info = self._source.info
        images = self._content.images if isinstance(self._content, XmlFile) else {}
        given = images[number].attributes if number in images else {}
        size = given.get("width", str(info.width)), given.get("height", str(info.height))
        if size != (str(info.width), str(info.height)):
            raise SourceError(
                f"Frame {number} of {self.name} is an image of {size[0]} x {size[1]} pixels, but those of "
                f"{self._files.video} have {info.width} x {info.height}. Is it the folder that was annotated?"
            )

    def _place(self, number: int) -> int:
        """Which of the video's frames, or of the folder's images, a frame is."""
        if not isinstance(self._content, XmlFile):
            return self._files.video_start + number * self._files.video_step
        image, names = self._content.images.get(number), self._source.info.file_names
        if image is None or names is None:
            return number
        name = PurePosixPath(image.attributes.get("name", ""))
        found = [place for place, other in enumerate(names) if other in (str(name), name.name)]
        if len(found) != 1:
            raise SourceError(
                f"Expected {self._files.video} to hold '{name}', which is frame {number} of {self.name}, but "
                f"it does not. Is it the folder that was annotated?"
            )
        return found[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            f"Expected CVAT's annotations, but '{path}' cannot be read ({error})."
        ) from error


def _parsed(data: bytes, name: str) -> Any:
    if data[:2] == b"PK":
        raise AnnotationError(f"{name} is a ZIP archive. Unpack it and give the annotations.xml in it.")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise AnnotationError(f"{name} is neither CVAT's XML nor valid JSON: {error}.") from error
