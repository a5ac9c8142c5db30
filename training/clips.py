"""Training clips made on the fly: one object followed through a few frames, with its exact masks.

A clip is a stack of layers. The lowest is a photograph under camera motion or a piece of a real clip; above
it move cut-outs and textured blobs, each on its own path with its own scale, turn, aspect and non-rigid
deformation. One object (or the object of the photograph itself) is the one to be followed; the others
occlude it or look like it. Clip `index` of `seed` is always the same clip.
"""

from dataclasses import replace

import cv2
import numpy as np

from training.absences import covered, cut_away
from training.cutouts import random_cutout, recolour, twin_of
from training.layers import PASSER, TARGET, Clip, Layer, paste_all
from training.paths import Floats, Path, approach, curve, random_path, random_squeeze, slide, turn, vanish
from training.scenes import background_frames, real_frames, scene_frames
from training.sources import Cutout, Image, Region, Sources
from training.walls import walled

__all__ = ["make_clip", "prompt_shares"]

SMALLEST_PROMPT = 0.003  # share of the first frame that the object must cover
LARGEST_PROMPT = 0.75
MOST_OBJECTS = 4  # of a clip that can be followed
ATTEMPTS = 20


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
    twin = twin_of(random, target.cutout)
    when = random.uniform(0.5, len(target.path.scale) - 0.5)
    path = passing(random, target.path, when, random.uniform(0.1, 0.5), random.uniform(0.8, 1.2))
    return Layer(twin, path, PASSER)


def passing(random: np.random.Generator, target: Path, when: float, pace: float, scale: float) -> Path:
    """A path that meets another at frame `when`; `pace` and `scale` are in units of that one's size."""
    way = random.uniform(0, 2 * np.pi)
    along = ((np.arange(len(target.scale)) - when) * pace)[:, None] * [np.cos(way), np.sin(way)]
    size = target.scale * np.float32(scale)
    center = (target.center + along * size[:, None]).astype(np.float32)
    return replace(target, center=center, scale=size, angle=target.angle * 0)


def make_layers(random: np.random.Generator, sources: Sources, length: int, has_target: bool) -> list[Layer]:
    """Objects above the background, lowest first."""
    if has_target and random.random() < sources.shares.walled:
        layers = walled(random, sources, length)
    else:
        layers = random_layers(random, sources, length, has_target)
    squeeze = np.float32(random_squeeze(random))
    return [replace(x, path=replace(x.path, aspect=x.path.aspect * squeeze)) for x in layers]


def mover_path(random: np.random.Generator, length: int, scale: float, speed: float) -> Path:
    """A path that sometimes comes near or goes away, or on which a thing turns and shows other sides."""
    path = random_path(random, length, scale, speed)
    if random.random() < 0.2:
        path = approach(random, path)
    if random.random() < 0.2:
        path = turn(random, path)
    return slide(random, path) if random.random() < 0.4 else path


def random_layers(
    random: np.random.Generator, sources: Sources, length: int, has_target: bool
) -> list[Layer]:
    """The same, as wide as they are."""
    layers = []
    speed = float(random.choice([0.15, 0.5, 1.0, 1.6], p=[0.2, 0.35, 0.3, 0.15]))
    others = int(random.integers(0, 4)) if has_target else int(random.choice([0, 1, 2], p=[0.5, 0.3, 0.2]))
    for i in range(others):
        scale = float(np.exp(random.uniform(np.log(0.12), np.log(0.5))))
        layers.append(
            Layer(random_cutout(random, sources), mover_path(random, length, scale, speed), TARGET + 1 + i)
        )
    if not has_target:
        return layers
    scale = float(np.exp(random.uniform(np.log(0.16), np.log(1.1))))
    path = mover_path(random, length, scale, speed)
    if random.random() < 0.2:
        path = vanish(random, path)
    target = Layer(random_cutout(random, sources), path, TARGET)
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
        layers.insert(at, Layer(random_cutout(random, sources), ridden, TARGET))
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


def compose(random: np.random.Generator, sources: Sources, length: int, size: int) -> Clip:
    """One clip, whatever it shows."""
    kind = random.random()
    if kind < sources.shares.real + 0.25:
        real = sources.tracklets and kind < sources.shares.real
        frames, masks = (real_frames if real else scene_frames)(random, sources, length, size)
        objects = (masks > 127).astype(np.uint8) * np.uint8(TARGET)
        layers = make_layers(random, sources, length, has_target=False)
    else:
        frames = background_frames(random, sources, length, size)
        objects = np.zeros(frames.shape[:3], np.uint8)
        layers = make_layers(random, sources, length, has_target=True)
    clip = Clip(np.ascontiguousarray(frames), objects)
    paste_all(clip, layers)
    if random.random() < sources.shares.covered:
        clip = covered(random, sources, clip)
    if random.random() < sources.shares.cut:
        clip = cut_away(random, sources, clip)
    frames, objects = degrade(random, clip.frames), clip.objects
    if random.random() < 0.5:
        frames, objects = frames[:, :, ::-1], objects[:, :, ::-1]
    return Clip(np.ascontiguousarray(frames), np.ascontiguousarray(objects))


def prompt_shares(objects: Region) -> Floats:
    """What share of each frame of (T, S, S) every object covers, those unfit to be prompted as 0: (T, N)."""
    counts = [np.bincount(frame.ravel(), minlength=MOST_OBJECTS + 1) for frame in objects]
    shares = np.stack(counts)[:, 1:] / objects[0].size
    fit = (shares > SMALLEST_PROMPT) & (shares < LARGEST_PROMPT)
    return np.where(fit, shares, 0).astype(np.float32)


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
        if prompt_shares(clip.objects[:1])[0, TARGET - 1]:
            return clip
    raise RuntimeError(
        f"Clip {index} of seed {seed} shows no object; the masks of the sources are too small."
    )
