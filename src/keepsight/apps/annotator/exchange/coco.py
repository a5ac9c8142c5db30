"""COCO and YouTube-VIS JSON, read."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.exchange.incoming import Incoming, coco_mask, share, trusted
from keepsight.apps.annotator.exchange.placing import frames_of
from keepsight.errors import AnnotationError
from keepsight.video.images import natural_key

__all__ = ["read"]


def read(path: Path, clip: Clip) -> list[Incoming]:
    """Reads tracks of masks.

    YouTube-VIS: one entry per object with a mask, or null, for each frame of a video. COCO: one entry per
    mask; entries of one `track_id` (or `instance_id`) are one object, any other is an object of its own.
    Files are frames by their names, see `frames_of`.

    Raises:
        AnnotationError: it is neither, or of several videos, or its masks are of another size, or its files
            are of no certain frame.
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
            if code is None:
                continue
            if frame is None or not 0 <= frame < clip.frames:
                known.passed_over += 1
                continue
            mask = coco_mask(code, clip.info.height, clip.info.width)
            known.add_mask(frame, mask, score=share(score))
        yield known


def _frames_of(video: dict[str, Any], clip: Clip) -> Sequence[int | None]:
    """The frame numbers of a video's entries: as keepsight writes them, by file names, or in order."""
    if "frame_indices" in video:
        return [int(frame) for frame in video["frame_indices"]]
    names = [str(name) for name in video.get("file_names") or ()]
    if names:
        return frames_of(names, clip)
    length = int(video["length"])
    if length != clip.frames:
        raise AnnotationError(
            f"Expected file names, or annotations of all {clip.frames} frames of the video, but the file has "
            f"no names and {length} frames. Add file_names, or open the video that they belong to."
        )
    return range(length)


def _of_images(content: dict[str, Any], clip: Clip) -> Iterator[Incoming]:
    images = sorted(content["images"], key=lambda image: natural_key(str(image.get("file_name", ""))))
    places = frames_of([str(image.get("file_name", "")) for image in images], clip)
    frames = {image["id"]: frame for image, frame in zip(images, places, strict=True)}
    objects: dict[Any, Incoming] = {}
    for number, entry in enumerate(content["annotations"], 1):
        frame, code = frames[entry["image_id"]], entry.get("segmentation")
        if not code:
            continue
        track = entry.get("track_id", entry.get("instance_id"))
        key = ("lone", number) if track is None else ("track", str(track))
        known = objects.setdefault(key, Incoming(_name(content, entry, len(objects) + 1), "mask"))
        if frame is None:
            known.passed_over += 1
        else:
            known.add_mask(frame, coco_mask(code, clip.info.height, clip.info.width))
    yield from objects.values()


def _name(content: dict[str, Any], entry: dict[str, Any], number: int) -> str:
    """The name of an object's category; of its number where it has none."""
    for category in content.get("categories", []):
        if category["id"] == entry.get("category_id"):
            return str(category["name"])
    return f"object {number}"
