"""COCO and YouTube-VIS JSON, read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming, coco_mask, number_in, share, trusted
from keepsight.errors import AnnotationError
from keepsight.video.images import natural_key

__all__ = ["read"]


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads tracks of masks.

    YouTube-VIS: one entry per object with a mask, or null, for each frame of a video. COCO: one entry per
    mask; entries of one `track_id` (or `instance_id`) are one object, any other is an object of its own.

    Raises:
        AnnotationError: it is neither, or of several videos, or its masks are of another size.
    """
    with path.open("rb") as file:
        content = trusted("a COCO or YouTube-VIS JSON file", lambda: json.load(file))
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        raise AnnotationError("Expected a COCO or YouTube-VIS JSON file, but it has no annotations.")
    read = _of_video if "videos" in content else _of_images
    found: list[Incoming] = trusted("COCO annotations", lambda: list(read(content, clip)))
    return found


def _of_video(content: dict[str, Any], clip: Clip) -> Iterator[Incoming]:
    videos = content["videos"]
    if len(videos) != 1:
        raise AnnotationError(
            f"Expected annotations of one video, but the file has {len(videos)}. Take out the others."
        )
    frames = _frames_of(videos[0], clip)
    for number, entry in enumerate(content["annotations"], 1):
        known = Incoming(_name(content, entry, number), "mask")
        scores = entry.get("scores") or [None] * len(entry["segmentations"])
        for frame, code, score in zip(frames, entry["segmentations"], scores, strict=True):
            if code is not None and 0 <= frame < clip.frames:
                mask = coco_mask(code, clip.info.height, clip.info.width)
                known.add_mask(frame, mask, score=share(score))
        yield known


def _frames_of(video: dict[str, Any], clip: Clip) -> list[int]:
    """The frame numbers of a video's entries: as keepsight writes them, by file names, or in order."""
    if "frame_indices" in video:
        return [int(frame) for frame in video["frame_indices"]]
    there = {name: frame for frame, name in enumerate(clip.info.file_names or ())}
    names = [str(name).rsplit("/", 1)[-1] for name in video.get("file_names", [])]
    if there and all(name in there for name in names):
        return [there[name] for name in names]
    return list(range(len(names) or int(video["length"])))


def _of_images(content: dict[str, Any], clip: Clip) -> Iterator[Incoming]:
    images = sorted(content["images"], key=lambda image: natural_key(str(image.get("file_name", ""))))
    there = {name: frame for frame, name in enumerate(clip.info.file_names or ())}
    frames = {}
    for place, image in enumerate(images):
        name = str(image.get("file_name", "")).rsplit("/", 1)[-1]
        frames[image["id"]] = there.get(name, number_in(name, place))
    objects: dict[Any, Incoming] = {}
    for number, entry in enumerate(content["annotations"], 1):
        frame, code = frames[entry["image_id"]], entry.get("segmentation")
        if not code or frame >= clip.frames:
            continue
        track = entry.get("track_id", entry.get("instance_id"))
        key = ("lone", number) if track is None else ("track", str(track))
        known = objects.setdefault(key, Incoming(_name(content, entry, len(objects) + 1), "mask"))
        known.add_mask(frame, coco_mask(code, clip.info.height, clip.info.width))
    yield from objects.values()


def _name(content: dict[str, Any], entry: dict[str, Any], number: int) -> str:
    """The name of an object's category; of its number where it has none."""
    for category in content.get("categories", []):
        if category["id"] == entry.get("category_id"):
            return str(category["name"])
    return f"object {number}"
