"""keepsight's JSON lines, read: masks where they have them, else their boxes."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming, coco_mask, number_in, share, trusted
from keepsight.errors import AnnotationError

__all__ = ["read"]


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads one line per frame, `{"fileName": ..., "prelabels": [...]}`.

    Lines are frames by the numbers or names of their files, else in their order; objects are told apart by
    `uid`, else by name.

    Raises:
        AnnotationError: a line is not of that form.
    """
    names = {name: frame for frame, name in enumerate(clip.info.file_names or ())}
    objects: dict[Any, Incoming] = {}
    with path.open("rb") as lines:
        for place, text in enumerate(lines):
            line = trusted(f"JSON in line {place + 1}", partial(json.loads, text))
            if not isinstance(line, dict) or not isinstance(line.get("prelabels"), list):
                raise AnnotationError(f"Expected line {place + 1} to have prelabels, but it has none.")
            name = str(line.get("fileName", ""))
            frame = names.get(name, number_in(name, place))
            if frame < clip.frames:
                for label in line["prelabels"]:
                    trusted(f"a label in line {place + 1}", partial(_add, objects, frame, label, clip))
    return list(objects.values())


def _add(objects: dict[Any, Incoming], frame: int, label: dict[str, Any], clip: Clip) -> None:
    size = clip.info.height, clip.info.width
    name, code = str(label["name"]), label.get("rle")
    key = str(label.get("uid", name)), code is None
    known = objects.setdefault(key, Incoming(name, "mask" if code is not None else "rectangle"))
    scores = {what: share(label.get(what)) for what in ("score", "presence")}
    if code is not None:
        known.add_mask(frame, coco_mask(code, *size), **scores)
    else:
        x = [float(point["x"]) for point in label["points"]]
        y = [float(point["y"]) for point in label["points"]]
        known.add(frame, (min(x), min(y), max(x), max(y)), size, **scores)
