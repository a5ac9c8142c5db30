"""`annotations.json`: tracks with run-length masks, as YouTube-VIS writes them."""

from __future__ import annotations

import json
import os
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from keepsight.errors import OutputError
from keepsight.export.files import LineFile, beside, new_file, output_errors
from keepsight.export.writer import ResultWriter, Tracks, frame_stem
from keepsight.types import FrameResult, ObjectResult

__all__ = ["CocoWriter", "assemble_coco"]


class CocoWriter(ResultWriter):
    """One YouTube-VIS JSON file with every track.

    `videos` holds the one video: width, height, length, `file_names` and, beyond the format,
    `frame_indices`. `annotations` holds one entry per object, its id the object's id, with one item per
    frame in `segmentations` (COCO run-length code), `bboxes` (x, y, width, height in pixels), `areas`
    (pixels) and `scores` (predicted IoU, 0..1), null where the object is not visible; `score` is the mean
    of the scores. Each display name is a category.

    The format is one JSON value, unreadable until complete. So results go line by line into
    `annotations.json.partial`, which `close` turns into the file proper, one track in memory at a time.
    After a crash the partial file holds everything written; `assemble_coco` completes the job.

    Args:
        path: the file; replaced on closing if it exists.
        names: display names by object id.
        file_name: the name of a frame number's image; 00000.jpg, 00001.jpg, ... when omitted.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Mapping[int, str] | None = None,
        *,
        file_name: Callable[[int], str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._partial = beside(self._path, ".partial")
        self._tracks = Tracks(names)
        self._file_name = file_name or (lambda index: f"{frame_stem(index)}.jpg")
        self._closed = False
        with output_errors(self._partial):
            self._file = LineFile(self._partial)

    def write(self, result: FrameResult) -> None:
        """Appends the frame to the partial file.

        Raises:
            OutputError: it cannot be written, or the writer is closed.
        """
        if self._closed:
            raise OutputError(f"'{self._path}' is closed and takes no more results. Open a new writer.")
        height, width = result.image.shape[:2]
        frame = {
            "frame": result.index,
            "file_name": self._file_name(result.index),
            "size": [height, width],
        }
        rows = [frame, *(self._row(result.index, object_id, item) for object_id, item in result.items())]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with output_errors(self._partial, "The frames before are complete in it."):
            self._file.append(lines.encode(errors="backslashreplace"))

    def _row(self, index: int, object_id: int, item: ObjectResult) -> dict[str, Any]:
        row: dict[str, Any] = {"frame": index, "object": object_id, "name": self._tracks.name(object_id)}
        box = item.box if item.visible else None
        if box is not None:
            x1, y1, x2, y2 = box
            row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            row["area"] = int(item.mask.sum())
            row["score"] = round(float(item.score), 6)
            row["segmentation"] = item.to_rle()
        return row

    def close(self) -> None:
        """Assembles the JSON file and removes the partial one.

        Raises:
            OutputError: the JSON file cannot be written; the partial file stays.
        """
        if self._closed:
            return
        self._closed = True
        self._file.close()
        assemble_coco(self._partial, self._path)
        self._partial.unlink(missing_ok=True)


def assemble_coco(partial: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Makes the YouTube-VIS JSON file from the lines of a partial one, such as a crash leaves.

    Args:
        partial: the `.partial` file; it stays as it is. A last line cut short by a crash is left out.
        path: the JSON file to write, replaced in one step if it exists.

    Raises:
        OutputError: the partial file cannot be read, or the JSON file not be written.
    """
    source, target = Path(partial), Path(path)
    kept = f"Every result is kept in '{source}'; keepsight.export.assemble_coco completes the file."
    with output_errors(target, kept), source.open("rb") as lines:
        contents = _survey(lines, source)
        with new_file(target) as out:
            for piece in _pieces(contents, lines):
                out.write(piece.encode(errors="backslashreplace"))


class _Contents(NamedTuple):
    """Where things stand in a partial file."""

    frames: dict[int, int]  # frame number -> position of its last row, sorted by frame
    names: dict[int, str]  # object id -> display name
    rows: dict[int, array[int]]  # object id -> frame number, position, frame number, position, ...


def _survey(lines: BinaryIO, source: Path) -> _Contents:
    frames: dict[int, int] = {}
    names: dict[int, str] = {}
    rows: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    position = 0
    for line in lines:
        if not line.endswith(b"\n"):
            break
        row = _parsed(line, source)
        if "object" in row:
            names[row["object"]] = row["name"]
            rows[row["object"]].extend((row["frame"], position))
        else:
            frames[row["frame"]] = position
        position += len(line)
    return _Contents(dict(sorted(frames.items())), names, dict(rows))


def _parsed(line: bytes, source: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise OutputError(
            f"Expected JSON lines in '{source}', but got {line[:60]!r}. Is it a partial file of CocoWriter?"
        ) from error
    if not isinstance(row, dict) or "frame" not in row:
        raise OutputError(
            f"Expected rows with a frame number in '{source}', but got {line[:60]!r}. "
            f"Is it a partial file of CocoWriter?"
        )
    return row


def _pieces(contents: _Contents, lines: BinaryIO) -> Iterator[str]:
    categories = {name: number for number, name in enumerate(dict.fromkeys(contents.names.values()), 1)}
    video = _video(contents, lines)
    yield f'{{"info": {{"description": "keepsight"}}, "videos": [{json.dumps(video, ensure_ascii=False)}]'
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    yield f', "categories": {json.dumps(listed, ensure_ascii=False)}, "annotations": ['
    for place, object_id in enumerate(contents.rows):
        head = {
            "id": object_id,
            "video_id": 1,
            "category_id": categories[contents.names[object_id]],
            "iscrowd": 0,
            "height": video["height"],
            "width": video["width"],
            "length": video["length"],
        }
        yield (",\n" if place else "\n") + json.dumps(head | _track(contents, object_id, lines))
    yield "\n]}\n"


def _video(contents: _Contents, lines: BinaryIO) -> dict[str, Any]:
    file_names, size = [], [0, 0]
    for position in contents.frames.values():
        lines.seek(position)
        row = json.loads(lines.readline())
        file_names.append(row["file_name"])
        size = row["size"]
    return {
        "id": 1,
        "height": size[0],
        "width": size[1],
        "length": len(contents.frames),
        "file_names": file_names,
        "frame_indices": list(contents.frames),
    }


def _track(contents: _Contents, object_id: int, lines: BinaryIO) -> dict[str, Any]:
    numbers = contents.rows[object_id]
    # A row older than its frame's last row belongs to an answer that was replaced.
    current = {
        frame: position
        for frame, position in zip(numbers[::2], numbers[1::2], strict=True)
        if position > contents.frames[frame]
    }
    columns: dict[str, list[Any]] = {"segmentation": [], "bbox": [], "area": [], "score": []}
    for frame in contents.frames:
        row: dict[str, Any] = {}
        if frame in current:
            lines.seek(current[frame])
            row = json.loads(lines.readline())
        for key, column in columns.items():
            column.append(row.get(key))
    scores = [score for score in columns["score"] if score is not None]
    return {
        "segmentations": columns["segmentation"],
        "bboxes": columns["bbox"],
        "areas": columns["area"],
        "scores": columns["score"],
        "score": round(sum(scores) / len(scores), 6) if scores else 0.0,
    }
