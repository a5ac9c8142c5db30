"""`tracked_detections.jsonl`: boxes per frame as annotation tools take them."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keepsight.errors import OutputError
from keepsight.export.files import LineFile, new_file, output_errors
from keepsight.export.writer import ResultWriter, Tracks, frame_stem
from keepsight.types import FrameResult

__all__ = ["JsonLinesWriter"]


class JsonLinesWriter(ResultWriter):
    """One JSON line per frame, in frame order.

    A line is `{"fileName": ..., "prelabels": [{"name", "uid", "type": "rect", "points": [...]}]}`. The four
    points `{"x", "y"}` run clockwise from the top left corner, in pixels, the right and bottom edge
    exclusive. `uid` is one UUID per object, the same on all its frames. An object that is not visible
    has no prelabel on that frame; the line is written all the same.

    Lines are appended as results come, so the file is readable at any moment. Results out of order
    (tracking backwards, frames done again) are sorted when the writer closes; until then, and after a
    crash, they stand in the order in which they came.

    Args:
        path: the file; replaced if it exists.
        names: display names by object id.
        file_name: the `fileName` of a frame number; 00000.jpg, 00001.jpg, ... when omitted.
        uids: the identity of each object, where it has one already.
        score: adds `score`, the predicted IoU, 0..1.
        presence: adds `presence`, the probability that the object is in the frame, 0..1.
        rle: adds `rle`, the mask as COCO run-length code.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: Mapping[int, str] | None = None,
        *,
        file_name: Callable[[int], str] | None = None,
        uids: Mapping[int, str] | None = None,
        score: bool = True,
        presence: bool = True,
        rle: bool = False,
    ) -> None:
        self._path = Path(path)
        self._tracks = Tracks(names, uids)
        self._file_name = file_name or (lambda index: f"{frame_stem(index)}.jpg")
        self._score, self._presence, self._rle = score, presence, rle
        self._frames, self._starts = array("q"), array("q")
        self._ascending = True
        self._closed = False
        with output_errors(self._path):
            self._file = LineFile(self._path)

    def write(self, result: FrameResult) -> None:
        """Appends the frame's line.

        Raises:
            OutputError: the line cannot be written, or the writer is closed.
        """
        if self._closed:
            raise OutputError(f"'{self._path}' is closed and takes no more results. Open a new writer.")
        line = json.dumps(self._line(result), ensure_ascii=False) + "\n"
        with output_errors(self._path, "The lines before are complete."):
            start = self._file.append(line.encode(errors="backslashreplace"))
        self._ascending = self._ascending and (not self._frames or result.index > self._frames[-1])
        self._frames.append(result.index)
        self._starts.append(start)

    def _line(self, result: FrameResult) -> dict[str, Any]:
        labels = []
        for object_id, item in result.items():
            box = item.box if item.visible else None
            if box is None:
                continue
            x1, y1, x2, y2 = box
            corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
            label: dict[str, Any] = {
                "name": self._tracks.name(object_id),
                "uid": self._tracks.uid(object_id),
                "type": "rect",
                "points": [{"x": x, "y": y} for x, y in corners],
            }
            if self._score:
                label["score"] = round(float(item.score), 6)
            if self._presence:
                label["presence"] = round(float(item.presence), 6)
            if self._rle:
                label["rle"] = item.to_rle()
            labels.append(label)
        return {"fileName": self._file_name(result.index), "prelabels": labels}

    def close(self) -> None:
        """Sorts the lines by frame if they came in another order; the last line of a frame counts.

        Raises:
            OutputError: the sorted file cannot be written; the unsorted one stays.
        """
        if self._closed:
            return
        self._closed = True
        self._file.close()
        if self._ascending:
            return
        latest = dict(zip(self._frames, self._starts, strict=True))
        with (
            output_errors(self._path, "All lines are there, in the order in which the frames were tracked."),
            self._path.open("rb") as lines,
            new_file(self._path) as ordered,
        ):
            for _, start in sorted(latest.items()):
                lines.seek(start)
                ordered.write(lines.readline())
