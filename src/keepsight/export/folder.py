"""The output folder: what lies where, and what may be replaced."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Literal

from keepsight.errors import OutputError, UsageError
from keepsight.export.coco import CocoWriter
from keepsight.export.files import output_errors
from keepsight.export.images import FrameWriter, MaskWriter, check_mask_ids
from keepsight.export.jsonlines import JsonLinesWriter
from keepsight.export.writer import ResultWriter
from keepsight.types import FrameResult

__all__ = ["OutputFolder", "open_writers"]

DETECTIONS, FRAMES, VIDEO = "tracked_detections.jsonl", "annotated_frames", "tracking_video.mp4"
MASKS, ANNOTATIONS = "masks", "annotations.json"

_FILES = (
    *(f"{name}{suffix}" for name in (DETECTIONS, VIDEO, ANNOTATIONS) for suffix in ("", ".new")),
    f"{ANNOTATIONS}.partial",
    f"{VIDEO}.merged",
)
_FOLDERS = {
    FRAMES: re.compile(r"\d{5,}\.jpg(\.new)?"),
    MASKS: re.compile(r"\d{5,}\.png(\.new)?"),
    f"{VIDEO}.frames": re.compile(r"\d{5,}\.jpg(\.new)?"),
}


class OutputFolder:
    """A folder that is there, can be written to, and holds no results that anybody wants to keep.

    Only `clear` removes anything, so the folder may be checked long before work starts.

    Args:
        path: created if missing.
        overwrite: earlier results may be replaced.

    Attributes:
        path: the folder.

    Raises:
        OutputError: it cannot be created or written to, or it holds results and `overwrite` is off.
    """

    def __init__(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        self.path = Path(path)
        with output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        self._check_kinds()
        with output_errors(self.path):
            found = next(self._results(), None)
        if found is not None and not overwrite:
            raise OutputError(
                f"Expected an output folder without results, but '{self.path}' holds '{found.name}' of an "
                f"earlier run. Choose another folder, or allow overwriting to replace the results in it."
            )

    def _check_kinds(self) -> None:
        for name in (*_FILES, *_FOLDERS):
            path = self.path / name
            fits = path.is_dir() if name in _FOLDERS else path.is_file()
            if os.path.lexists(path) and (path.is_symlink() or not fits):
                kind = "folder" if name in _FOLDERS else "file"
                raise OutputError(
                    f"Expected '{path}' to be free or a {kind}, but it is something else (or a link), which "
                    f"is not replaced. Move it away, or choose another output folder."
                )

    def clear(self) -> None:
        """Removes the results of earlier runs, and nothing else.

        Raises:
            OutputError: a result cannot be removed.
        """
        with output_errors(self.path):
            for path in list(self._results()):
                path.unlink()
            for name in _FOLDERS:
                folder = self.path / name
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _results(self) -> Iterator[Path]:
        for name in _FILES:
            if os.path.lexists(self.path / name):
                yield self.path / name
        for name, pattern in _FOLDERS.items():
            folder = self.path / name
            if folder.is_dir():
                yield from (path for path in folder.iterdir() if pattern.fullmatch(path.name))


def open_writers(
    folder: str | os.PathLike[str] | OutputFolder,
    *,
    masks: Literal["png", "coco", "none"] = "png",
    frames: bool = True,
    video: bool = True,
    rate: Fraction | None = None,
    names: Mapping[int, str] | None = None,
    file_name: Callable[[int], str] | None = None,
) -> ResultWriter:
    """Opens everything that is to be written, as one writer.

    The folder will hold `tracked_detections.jsonl` and, as asked, `annotated_frames/`,
    `tracking_video.mp4`, `masks/` (palette PNG) or `annotations.json` (COCO). Results that an
    `OutputFolder` allows to be overwritten are removed here.

    Args:
        folder: where to; a path is checked as `OutputFolder(path)` does.
        masks: palette PNG images, one COCO JSON file, or no masks.
        frames: annotated frames.
        video: the annotated frames as a video.
        rate: the video's frames per second; the results' own times when omitted.
        names: display names by object id.
        file_name: the name of a frame number's image in JSON files.

    Raises:
        OutputError: a file cannot be opened, or the ids of `names` do not fit PNG masks.
        UsageError: `masks` is none of the three, or `rate` is out of range.
    """
    if masks not in ("png", "coco", "none"):
        raise UsageError(f"Masks are written as 'png', 'coco' or 'none', but got {masks!r}. Choose one.")
    if masks == "png":
        check_mask_ids(names or {})
    place = folder if isinstance(folder, OutputFolder) else OutputFolder(folder)
    place.clear()
    with ExitStack() as opened:
        writers: list[ResultWriter] = []

        def add(writer: ResultWriter) -> None:
            writers.append(writer)
            opened.callback(writer.close)

        add(JsonLinesWriter(place.path / DETECTIONS, names, file_name=file_name))
        if masks == "png":
            add(MaskWriter(place.path / MASKS))
        if masks == "coco":
            add(CocoWriter(place.path / ANNOTATIONS, names, file_name=file_name))
        for writer in _picture_writers(place.path, frames, video, rate, names):
            add(writer)
        return _Writers(writers, opened.pop_all())


def _picture_writers(
    folder: Path, frames: bool, video: bool, rate: Fraction | None, names: Mapping[int, str] | None
) -> Iterator[ResultWriter]:
    if not (frames or video):
        return
    from keepsight.export.overlay import Painter

    painter = Painter(names)
    if frames:
        yield FrameWriter(folder / FRAMES, draw=painter)
    if video:
        from keepsight.export.video import VideoWriter

        yield VideoWriter(folder / VIDEO, rate, draw=painter)


class _Writers(ResultWriter):
    """Several writers as one."""

    def __init__(self, writers: list[ResultWriter], opened: ExitStack) -> None:
        self._writers = writers
        self._opened = opened

    def write(self, result: FrameResult) -> None:
        """Hands the result to each writer."""
        for writer in self._writers:
            writer.write(result)

    def close(self) -> None:
        """Closes every writer, whichever of them fails."""
        self._opened.close()
