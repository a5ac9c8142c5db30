"""Training clips made on the fly: one object followed through a few frames, with its exact masks.

A clip is a stack of layers. The lowest is a photograph under camera motion or a piece of a real clip; above
it move cut-outs and textured blobs, each on its own path with its own scale, turn, aspect and non-rigid
deformation. One object (or the object of the photograph itself) is the one to be followed; the others
occlude it or look like it. Clip `index` of `seed` is always the same clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from training.paths import (
    Floats,
    Path,
    camera_path,
    curve,
    random_path,
    random_squeeze,
    source_grid,
    vanish,
)
from training.sources import Cutout, Image, Photo, Region, Sources, blob_mask, cut_out

__all__ = ["Clip", "make_clip"]

T = TypeVar("T")

SMALLEST_PROMPT = 0.003  # share of the first frame that the object must cover
LARGEST_PROMPT = 0.75
ATTEMPTS = 20
PASSER = -1  # the group of what only passes by
LABELLED = 0.35  # share of the objects that come from photographs labelled by a model, where there are any
REAL = 0.4  # share of the clips that are pieces of real ones, where there are any


@dataclass(frozen=True)
class Clip:
    """Consecutive frames and where the object is visible in each."""

    frames: Image  # (T, S, S, 3) RGB
    masks: Region  # (T, S, S), 1 where the object is visible


@dataclass(frozen=True)
class Layer:
    """A picture with transparency on a path; layers of one group are followed together."""

    cutout: Cutout
    path: Path
    group: int


def one_of(random: np.random.Generator, items: Sequence[T]) -> T:
    """A random item."""
    return items[int(random.integers(len(items)))]


def recolour(random: np.random.Generator, image: Image, strength: float) -> Image:
    """Shifts hue, saturation and brightness."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + random.normal() * 30 * strength) % 180
    hsv[..., 1] *= np.exp(random.normal() * 0.4 * strength)
    hsv[..., 2] *= np.exp(random.normal() * 0.25 * strength)
    return cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8)


def any_picture(random: np.random.Generator, sources: Sources) -> Image:
    """A random picture of any source."""
    kind = random.random()
    if kind < 0.4:
        return one_of(random, sources.photos).image
    if kind < 0.6 and sources.backgrounds:
        return one_of(random, sources.backgrounds)
    if sources.clips:
        return one_of(random, one_of(random, sources.clips))
    return one_of(random, sources.photos).image


def textured_blob(random: np.random.Generator, sources: Sources) -> Cutout:
    """A random shape filled with a piece of a picture."""
    size = 160
    picture = any_picture(random, sources)
    side = int(min(picture.shape[:2]) * random.uniform(0.15, 0.9))
    y, x = (int(random.integers(0, extent - side + 1)) for extent in picture.shape[:2])
    texture = cv2.resize(picture[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.25:
        texture = (0.25 * texture + 0.75 * random.uniform(0, 255, 3)).astype(np.uint8)
    return Cutout(recolour(random, texture.astype(np.uint8), 1.0), blob_mask(random, size))


def random_cutout(random: np.random.Generator, sources: Sources) -> Cutout:
    """An object cut from a photograph, or a blob."""
    if random.random() < 0.3:
        return textured_blob(random, sources)
    photo = any_photo(random, sources)
    cutout = cut_out(photo.image, photo.regions[pick_region(random, photo)])
    if random.random() < 0.5:
        cutout = Cutout(recolour(random, cutout.image, 0.8), cutout.alpha)
    if random.random() < 0.5:
        cutout = Cutout(cutout.image[:, ::-1], cutout.alpha[:, ::-1])
    return cutout


def any_photo(random: np.random.Generator, sources: Sources) -> Photo:
    """A photograph with objects; those that were labelled by a model show the most kinds of things."""
    if sources.labelled and random.random() < LABELLED:
        return one_of(random, sources.labelled)
    return one_of(random, sources.photos)


def pick_region(random: np.random.Generator, photo: Photo) -> int:
    """Mostly the whole person, sometimes a garment; any cat, any thing."""
    return 0 if photo.whole_first and random.random() < 0.85 else int(random.integers(len(photo.regions)))


def layer_window(path: Path, t: int, size: int) -> tuple[int, int, int, int]:
    """The part of the frame a layer can reach, possibly empty."""
    reach = 0.75 * path.scale[t] * max(np.sqrt(path.aspect[t]), 1 / np.sqrt(path.aspect[t])) * size
    x, y = path.center[t] * size
    x0, y0 = max(int(x - reach), 0), max(int(y - reach), 0)
    return x0, y0, max(min(int(x + reach) + 1, size), x0), max(min(int(y + reach) + 1, size), y0)


def paste(canvas: Image, layer: Layer, t: int) -> Floats:
    """Draws a layer onto a frame, in place, and returns its (S, S) alpha, 0..1."""
    size = canvas.shape[0]
    alpha = np.zeros((size, size), np.float32)
    window = x0, y0, x1, y1 = layer_window(layer.path, t, size)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return alpha
    u, v = source_grid(layer.path, t, window, size)
    height, width = layer.cutout.alpha.shape
    longest = max(height, width)
    map_x, map_y = u * longest + width / 2 - 0.5, v * longest + height / 2 - 0.5
    image = cv2.remap(layer.cutout.image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.remap(layer.cutout.alpha, map_x, map_y, cv2.INTER_LINEAR, borderValue=(0,))
    opacity = cv2.GaussianBlur(opacity, (3, 3), 0).astype(np.float32) / 255
    view = canvas[y0:y1, x0:x1]
    view[:] = (view + opacity[..., None] * (image.astype(np.float32) - view)).astype(np.uint8)
    alpha[y0:y1, x0:x1] = opacity
    return alpha


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


def passer_by(random: np.random.Generator, sources: Sources, target: Path) -> Layer:
    """Something large that passes in front of the object and hides it for a while."""
    when = random.uniform(0.5, len(target.scale) - 0.5)
    path = passing(random, target, when, random.uniform(0.3, 1.0), random.uniform(1.1, 1.9))
    return Layer(random_cutout(random, sources), path, PASSER)


def curtain(random: np.random.Generator, sources: Sources, target: Path) -> Layer:
    """Something that hides a part of the object at first and then lets the whole come into view."""
    path = passing(
        random, target, random.uniform(-1.5, -0.2), random.uniform(0.1, 0.4), random.uniform(0.6, 1.2)
    )
    return Layer(random_cutout(random, sources), path, PASSER)


def close_twin(random: np.random.Generator, target: Layer) -> Layer:
    """Something that looks like the object and comes close to it."""
    image = recolour(random, target.cutout.image, 0.3 * random.random())
    alpha = target.cutout.alpha
    if random.random() < 0.5:
        image, alpha = image[:, ::-1], alpha[:, ::-1]
    when = random.uniform(0.5, len(target.path.scale) - 0.5)
    path = passing(random, target.path, when, random.uniform(0.1, 0.5), random.uniform(0.8, 1.2))
    return Layer(Cutout(image, alpha), path, PASSER)


def passing(random: np.random.Generator, target: Path, when: float, pace: float, scale: float) -> Path:
    """A path that meets another at frame `when`; `pace` and `scale` are in units of that one's size."""
    way = random.uniform(0, 2 * np.pi)
    along = ((np.arange(len(target.scale)) - when) * pace)[:, None] * [np.cos(way), np.sin(way)]
    size = target.scale * np.float32(scale)
    center = (target.center + along * size[:, None]).astype(np.float32)
    return replace(target, center=center, scale=size, angle=target.angle * 0)


def make_layers(random: np.random.Generator, sources: Sources, length: int, has_target: bool) -> list[Layer]:
    """Objects above the background, lowest first; those of group 0 are to be followed."""
    layers = random_layers(random, sources, length, has_target)
    squeeze = np.float32(random_squeeze(random))
    return [replace(x, path=replace(x.path, aspect=x.path.aspect * squeeze)) for x in layers]


def random_layers(
    random: np.random.Generator, sources: Sources, length: int, has_target: bool
) -> list[Layer]:
    """The same, as wide as they are."""
    layers = []
    speed = float(random.choice([0.15, 0.5, 1.0, 1.6], p=[0.2, 0.35, 0.3, 0.15]))
    others = int(random.integers(0, 4)) if has_target else int(random.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
    for i in range(others):
        scale = float(np.exp(random.uniform(np.log(0.12), np.log(0.5))))
        layers.append(Layer(random_cutout(random, sources), random_path(random, length, scale, speed), i + 1))
    if not has_target:
        return layers
    scale = float(np.exp(random.uniform(np.log(0.22), np.log(1.1))))
    path = random_path(random, length, scale, speed)
    if random.random() < 0.2:
        path = vanish(random, path)
    target = Layer(random_cutout(random, sources), path, 0)
    if layers and random.random() < 0.35:  # a twin that is not meant
        twin = recolour(random, target.cutout.image, 0.3 * random.random())
        layers[0] = replace(layers[0], cutout=Cutout(twin, target.cutout.alpha))
    at = int(random.integers(0, len(layers) + 1))
    if random.random() < 0.5:
        at = len(layers)
    layers.insert(at, target)
    if random.random() < 0.15:  # something the object carries or rides
        shift = (random.uniform(-0.3, 0.3, 2) * path.scale[:, None]).astype(np.float32)
        ridden = replace(
            path, center=path.center + shift, scale=path.scale * np.float32(random.uniform(0.4, 0.9))
        )
        layers.insert(at, Layer(random_cutout(random, sources), ridden, 0))
    if random.random() < 0.2:
        layers.append(passer_by(random, sources, path))
    if random.random() < 0.15:
        layers.append(curtain(random, sources, path))
    if random.random() < 0.2:
        layers.insert(int(random.integers(0, len(layers) + 1)), close_twin(random, target))
    return layers


def degrade(random: np.random.Generator, frames: Image) -> Image:
    """Lighting, blur, noise and compression, drawn once per clip and drifting over it."""
    length = len(frames)
    gain = np.exp(random.normal() * 0.15 + curve(random, length, 0.12))
    tint = np.exp(random.normal(size=3) * 0.06)
    gamma = float(np.exp(random.normal() * 0.15))
    ramp = np.linspace(0, 1, 256) ** gamma
    blur = random.uniform(0.4, 1.4) if random.random() < 0.3 else 0.0
    streak = int(random.choice([3, 5, 7])) if random.random() < 0.12 else 0
    quality = int(random.integers(25, 95)) if random.random() < 0.4 else 0
    grey = random.random() < 0.04
    out = []
    for t, frame in enumerate(frames):
        table = np.clip(ramp[:, None] * 255 * gain[t] * tint, 0, 255).astype(np.uint8)
        frame = cv2.LUT(frame, table[:, None, :])
        if blur:
            frame = cv2.GaussianBlur(frame, (0, 0), blur)
        if streak:
            kernel = np.zeros((streak, streak), np.float32)
            cv2.line(kernel, (0, t % streak), (streak - 1, streak - 1 - t % streak), (1.0,))
            frame = cv2.filter2D(frame, -1, kernel / kernel.sum())
        if grey:
            frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if quality:
            frame = cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
        out.append(frame)
    return np.stack(out).astype(np.uint8)


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


def compose(random: np.random.Generator, sources: Sources, length: int, size: int) -> Clip:
    """One clip, whatever it shows."""
    kind = random.random()
    if kind < REAL + 0.25:
        real = sources.tracklets and kind < REAL
        frames, masks = (real_frames if real else scene_frames)(random, sources, length, size)
        visible = masks.astype(np.float32) / 255
        layers = make_layers(random, sources, length, has_target=False)
    else:
        frames = background_frames(random, sources, length, size)
        visible = np.zeros(frames.shape[:3], np.float32)
        layers = make_layers(random, sources, length, has_target=True)
    frames = np.ascontiguousarray(frames)
    for t in range(length):
        for layer in layers:
            alpha = paste(frames[t], layer, t)
            visible[t] = np.maximum(visible[t], alpha) if layer.group == 0 else visible[t] * (1 - alpha)
    frames, masks = degrade(random, frames), (visible > 0.5).astype(np.uint8)
    if random.random() < 0.5:
        frames, masks = frames[:, :, ::-1], masks[:, :, ::-1]
    return Clip(np.ascontiguousarray(frames), np.ascontiguousarray(masks))


def make_clip(sources: Sources, seed: int, index: int, length: int = 8, size: int = 256) -> Clip:
    """Makes clip `index`: the same for the same arguments.

    Args:
        sources: the pictures to draw from.
        seed: of the whole run.
        index: which clip.
        length: number of frames T, at least 2.
        size: side of the square frames in pixels.

    Raises:
        RuntimeError: no clip with a visible object in its first frame came about.
    """
    random = np.random.default_rng((seed, index))
    for _ in range(ATTEMPTS):
        clip = compose(random, sources, length, size)
        if SMALLEST_PROMPT < clip.masks[0].mean() < LARGEST_PROMPT:
            return clip
    raise RuntimeError(
        f"Clip {index} of seed {seed} shows no object; the masks of the sources are too small."
    )
