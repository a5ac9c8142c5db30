"""keepsight's JSON lines, read: masks where they have them, else their boxes."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming, coco_mask, share, trusted
from keepsight.apps.annotator.exchange.placing import frames_of
from keepsight.errors import AnnotationError

__all__ = ["read"]


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads one line per frame, `{"fileName": ..., "prelabels": [...]}`.

    Lines are frames by the names of their files, see `frames_of`; in their order where no line names one.
    Objects are told apart by `uid`, else by name.

    Raises:
        AnnotationError: a line is not of that form, or its files are of no certain frame.
    """
    lines = []
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            line = trusted(f"JSON in line {number}", partial(json.loads, text))
            if not isinstance(line, dict) or not isinstance(line.get("prelabels"), list):
                raise AnnotationError(f"Expected line {number} to have prelabels, but it has none.")
            lines.append(line)
    objects: dict[Any, Incoming] = {}
    frames = _frames_of([str(line.get("fileName", "")) for line in lines], clip)
    for number, (frame, line) in enumerate(zip(frames, lines, strict=True), 1):
        for label in line["prelabels"]:
            trusted(f"a label in line {number}", partial(_add, objects, frame, label, clip))
    return list(objects.values())


def _frames_of(names: Sequence[str], clip: Clip) -> Sequence[int | None]:
    if any(names):
        return frames_of(names, clip)
    return [place if place < clip.frames else None for place in range(len(names))]


def _add(objects: dict[Any, Incoming], frame: int | None, label: dict[str, Any], clip: Clip) -> None:
    size = clip.info.height, clip.info.width
    name, code = str(label["name"]), label.get("rle")
    key = str(label.get("uid", name)), code is None
    known = objects.setdefault(key, Incoming(name, "mask" if code is not None else "rectangle"))
    scores = {what: share(label.get(what)) for what in ("score", "presence")}
    if frame is None:
        known.passed_over += 1
    elif code is not None:
        known.add_mask(frame, coco_mask(code, *size), **scores)
    else:
        x = [float(point["x"]) for point in label["points"]]
        y = [float(point["y"]) for point in label["points"]]
        known.add(frame, (min(x), min(y), max(x), max(y)), size, **scores)
