"""What lies lowest in a training clip: a photograph under camera motion or a piece of a real clip."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from training.cutouts import any_photo, any_picture, one_of, pick_region, recolour
from training.paths import Floats, Path, camera_path, random_squeeze, source_grid
from training.sources import Image, Region, Sources

__all__ = ["background_frames", "camera_frames", "real_frames", "scene_frames"]


def camera_frames(
    images: Sequence[Image], regions: Sequence[Region], path: Path, size: int
) -> tuple[Image, Region]:
    """T pictures and a region of each seen by a moving camera: (T, S, S, 3) and (T, S, S)."""
    height, width = images[0].shape[:2]
    frames, masks = [], []
    for t, (image, region) in enumerate(zip(images, regions, strict=True)):
        u, v = source_grid(path, t, (0, 0, size, size), size)
        map_x, map_y = (u + 0.5) * width - 0.5, (v + 0.5) * height - 0.5
        border = cv2.BORDER_REFLECT_101
        frames.append(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=border))
        # What the border mirrors is a twin, not the object.
        masks.append(cv2.remap(region, map_x, map_y, cv2.INTER_LINEAR, borderValue=(0,)))
    return np.stack(frames).astype(np.uint8), np.stack(masks).astype(np.uint8)


def background_frames(random: np.random.Generator, sources: Sources, length: int, size: int) -> Image:
    """Frames without anything to follow: a piece of a real clip or a picture under camera motion."""
    if sources.clips and random.random() < 0.4:
        clip = one_of(random, sources.clips)
        stride = int(random.integers(1, 4))
        start = int(random.integers(0, max(len(clip) - stride * length, 1)))
        chosen = [clip[min(start + stride * t, len(clip) - 1)] for t in range(length)]
        height, width = chosen[0].shape[:2]
        side = int(height * random.uniform(0.6, 1.0))
        wide = int(min(side * random.uniform(1.0, 1.8), width))
        y, x = int(random.integers(0, height - side + 1)), int(random.integers(0, width - wide + 1))
        flip = -1 if random.random() < 0.5 else 1
        cuts = [frame[y : y + side, x : x + wide][:, ::flip] for frame in chosen]
        return np.stack(
            [
                cv2.resize(np.ascontiguousarray(cut), (size, size), interpolation=cv2.INTER_LINEAR)
                for cut in cuts
            ]
        ).astype(np.uint8)
    picture = any_picture(random, sources)
    path = camera_path(random, length, random.uniform(0, 0.8), None)
    nothing = np.zeros(picture.shape[:2], np.uint8)
    return camera_frames([picture] * length, [nothing] * length, path, size)[0]


def focus_of(region: Region) -> Floats:
    """Centre and extent (x, y, extent) of a region, in units of the picture's sides."""
    x, y, width, height = cv2.boundingRect(region)
    rows, columns = region.shape
    return np.array(
        [(x + width / 2) / columns, (y + height / 2) / rows, max(width / columns, height / rows)], np.float32
    )


def scene_frames(
    random: np.random.Generator, sources: Sources, length: int, size: int
) -> tuple[Image, Region]:
    """A photograph with an object in it under camera motion, and that object's masks (0..255)."""
    photo = any_photo(random, sources)
    region = photo.regions[pick_region(random, photo)]
    path = camera_path(random, length, float(random.choice([0.2, 0.7, 1.2])), focus_of(region))
    rows, columns = region.shape
    path = replace(path, aspect=path.aspect * np.float32(random_squeeze(random) * columns / rows))
    image = recolour(random, photo.image, 0.7) if random.random() < 0.3 else photo.image
    return camera_frames([image] * length, [region] * length, path, size)


def real_frames(
    random: np.random.Generator, sources: Sources, length: int, size: int
) -> tuple[Image, Region]:
    """An object in a piece of a real clip, forward or back and forth, the camera moving a little more."""
    tracklet = one_of(random, sources.tracklets)
    while random.random() > tracklet.liveliness:
        tracklet = one_of(random, sources.tracklets)
    count = len(tracklet.frames)
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
    stride = 2 if count >= length and random.random() < 0.4 else 1  # faster, and more of it
    start = int(random.integers(0, max(count - stride * length, 0) + 1))
    order = [there_and_back[(start + stride * t) % len(there_and_back)] for t in range(length)]
    if random.random() < 0.5:
        order.reverse()
    regions = [tracklet.regions[i] for i in order]
    path = camera_path(random, length, float(random.choice([0.0, 0.2, 0.5])), focus_of(regions[0]))
    path = replace(path, bend=np.zeros_like(path.bend))
    return camera_frames([tracklet.frames[i] for i in order], regions, path, size)
