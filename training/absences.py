"""What takes the object out of sight in a training clip: cuts, fades, and things that lie over it."""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from training.cutouts import panel, random_cutout, twin_of
from training.layers import PASSER, TARGET, Clip, Layer, paste_all
from training.paths import Floats, random_path, until_arrival
from training.scenes import background_frames
from training.sources import Image, Region, Sources, cut_out

__all__ = ["covered", "cut_away"]

BLANK = 0.5  # share of the cuts after which nothing at all is shown
NOISE = 60.0  # most deviation of what is shown then
TO_THE_END = 0.4  # share of the covers that stay as long as the clip lasts
PACES = 0.1, 1.5  # of covers, in lengths of the object per frame
APART = 1.0, 3.0  # how far off it is, in lengths of the object
WALL = 0.6  # share of the covers that are panels, not things


class Whereabouts(NamedTuple):
    """Where the object is on every frame, in units of the frame's side."""

    places: Floats  # (T, 2) centres of its boxes
    extents: Floats  # (T,) their longer sides


def cut_away(random: np.random.Generator, sources: Sources, clip: Clip) -> Clip:
    """Shows something else for some frames after the first, as a cut or a fade to black does."""
    length, size = clip.objects.shape[:2]
    first = int(random.integers(1, length))
    gone = slice(first, int(random.integers(first, length)) + 1)
    frames, objects = clip.frames.copy(), clip.objects.copy()
    blank = random.random() < BLANK
    frames[gone] = (
        nothing(random, length, size) if blank else background_frames(random, sources, length, size)
    )[gone]
    objects[gone] = 0
    return Clip(frames, objects)


def nothing(random: np.random.Generator, length: int, size: int) -> Image:
    """Frames of one colour, half of them with noise, as of a camera without light or signal."""
    frames = np.zeros((length, size, size, 3)) + random.integers(0, 256, 3)
    if random.random() < 0.5:
        cells = size // int(random.choice([1, 2, 8]))  # noise of pixels, or of compression
        noise = random.normal(0, NOISE * random.random(), (length, cells, cells, 3))
        frames += [cv2.resize(frame, (size, size), interpolation=cv2.INTER_LINEAR) for frame in noise]
    return np.clip(frames, 0, 255).astype(np.uint8)


def covered(random: np.random.Generator, sources: Sources, clip: Clip) -> Clip:
    """Pushes something over the object after the first frame, which stays there and moves with it.

    It goes on later or, in some clips, not at all. In some, a twin of the object stays in sight: it is no
    more the object than before. A clip that does not begin with the object stays as it is.
    """
    region = clip.objects == TARGET
    if not region[0].any():
        return clip
    where = whereabouts(region)
    layers = [cover(random, sources, where)]
    if random.random() < sources.shares.twin:
        layers.insert(0, bystander(random, clip, where, sources.shares.late))
    over = Clip(clip.frames.copy(), clip.objects.copy())
    paste_all(over, layers)
    return over


def cover(random: np.random.Generator, sources: Sources, where: Whereabouts) -> Layer:
    """What comes over the object, quickly or slowly, and goes on in the same direction."""
    length = len(where.extents)
    first = int(random.integers(1, length))
    last = length if random.random() < TO_THE_END else int(random.integers(first + 1, length + 1))
    frames = np.arange(length)
    away = np.minimum(frames - first, 0) + np.maximum(frames - last + 1, 0)  # frames until, or since
    way, pace = random.uniform(0, 2 * np.pi), np.exp(random.uniform(*np.log(PACES)))
    offsets = (away * pace * where.extents)[:, None] * [np.cos(way), np.sin(way)]
    extent = float(where.extents[first:last].max())
    path = random_path(random, length, extent * random.uniform(1.2, 2.4), 0.1)
    sway = (path.center - path.center[0]) * np.float32(3 * extent)
    path = replace(path, center=(where.places + offsets + sway).astype(np.float32))
    wall = random.random() < WALL
    what = panel(random, sources, random.uniform(0.7, 1.4)) if wall else random_cutout(random, sources)
    return Layer(what, path, PASSER)


def bystander(random: np.random.Generator, clip: Clip, where: Whereabouts, late: float) -> Layer:
    """A twin of the object, as it is on the first frame, with a way of its own that begins beside it.

    A share of `late` comes from farther off into view.
    """
    length, size = clip.objects.shape[:2]
    found = cut_out(clip.frames[0], (clip.objects[0] == TARGET).astype(np.uint8) * np.uint8(255))
    twin = twin_of(random, found)
    scale = max(twin.alpha.shape) / size * random.uniform(0.8, 1.2)
    path = random_path(random, length, scale, random.uniform(0.1, 1.0))
    way = random.uniform(0, 2 * np.pi)
    outside = until_arrival(random, length, late) * random.uniform(*PACES)
    apart = where.extents[0] * (random.uniform(*APART) + outside)[:, None] * [np.cos(way), np.sin(way)]
    center = where.places[0] + apart + path.center - path.center[0]
    return Layer(twin, replace(path, center=center.astype(np.float32)), PASSER)


def whereabouts(region: Region) -> Whereabouts:
    """Where a region is; where there is none, that is where it was last.

    Args:
        region: (T, S, S); not empty in the first frame.
    """
    size = region.shape[1]
    boxes: list[tuple[float, float, float]] = []
    for frame in region:
        x, y, width, height = cv2.boundingRect(frame.astype(np.uint8))
        seen = (x + width / 2, y + height / 2, float(max(width, height)))
        boxes.append(seen if width or not boxes else boxes[-1])
    table = np.array(boxes, np.float32) / np.float32(size)
    return Whereabouts(table[:, :2], table[:, 2])
