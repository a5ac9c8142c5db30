"""Paths: where the layers of a training clip, and the camera, are on every frame."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Floats",
    "Path",
    "approach",
    "camera_path",
    "curve",
    "random_path",
    "random_squeeze",
    "slide",
    "source_grid",
    "turn",
    "until_arrival",
    "vanish",
]

Floats = NDArray[np.float32]

NARROWEST = 0.25  # how wide a flat thing still looks from the side, relative
WIDE = 9 / 16  # how much narrower things look in a wide frame that was made square


@dataclass(frozen=True)
class Path:
    """Where a layer is on every frame; lengths in units of the frame's side."""

    center: Floats  # (T, 2)
    scale: Floats  # (T,)
    angle: Floats  # (T,) radians
    aspect: Floats  # (T,) width over height, relative
    bend: Floats  # (T,) strength of the non-rigid deformation
    waves: Floats  # (2, 4): frequency x, frequency y, phase, phase per frame; one row per axis
    slide: Floats  # (T, 2) how far the picture has moved under the outline, in units of the outline's size
    yaw: Floats  # (T,) radians about an upright axis; what faces away is seen mirrored


def curve(random: np.random.Generator, length: int, total: float) -> Floats:
    """A smooth path from 0 that drifts by about `total` and sways."""
    t = np.linspace(0, 1, length)
    sway = np.sin(2 * np.pi * (random.uniform(0.2, 1.2) * t + random.random()))
    line = random.normal() * t + 0.35 * random.normal() * (sway - sway[0])
    path: Floats = (total * line).astype(np.float32)
    return path


def random_squeeze(random: np.random.Generator) -> float:
    """How much narrower than high things look, because the network sees wide frames as squares."""
    return WIDE if random.random() < 0.6 else float(np.exp(random.uniform(np.log(0.5), np.log(1.3))))


def random_path(random: np.random.Generator, length: int, scale: float, speed: float) -> Path:
    """A path of a layer of about `scale` of the frame; `speed` 1 is lively."""
    start = random.uniform(0.2, 0.8, 2)
    bend = 0.05 * random.random() ** 2 * (1 + curve(random, length, 2.0))
    return Path(
        center=np.stack([start[i] + curve(random, length, 0.3 * speed) for i in (0, 1)], 1).astype(
            np.float32
        ),
        scale=(scale * np.exp(curve(random, length, 0.3 * speed))).astype(np.float32),
        angle=(random.normal() * 0.2 + curve(random, length, 0.4 * speed)).astype(np.float32),
        aspect=np.exp(random.normal() * 0.2 + curve(random, length, 0.25 * speed)).astype(np.float32),
        bend=bend.astype(np.float32),
        waves=np.stack([random.uniform([0.5, 0.5, 0, -1], [2.0, 2.0, 6.3, 1]) for _ in range(2)]).astype(
            np.float32
        ),
        slide=np.zeros((length, 2), np.float32),
        yaw=np.zeros(length, np.float32),
    )


def approach(random: np.random.Generator, path: Path) -> Path:
    """Lets a layer come near or go away: up to 3.5 times as large at one end as at the other."""
    reach = random.choice([-1, 1]) * random.uniform(np.log(1.5), np.log(3.5))
    ramp = np.exp(np.linspace(-0.5, 0.5, len(path.scale)) * reach)
    return replace(path, scale=(path.scale * ramp).astype(np.float32))


def slide(random: np.random.Generator, path: Path) -> Path:
    """Lets a picture move under its outline, as a thing that turns shows other sides of it."""
    length = len(path.scale)
    shift = np.stack([curve(random, length, 0.5), curve(random, length, 0.15)], axis=1)
    return replace(path, slide=shift.astype(np.float32))


def turn(random: np.random.Generator, path: Path) -> Path:
    """Lets a flat thing turn about an upright axis, up to and past the point where it faces the other way."""
    return replace(path, yaw=curve(random, len(path.scale), np.pi * random.uniform(0.3, 1.0)))


def vanish(random: np.random.Generator, path: Path) -> Path:
    """Moves a layer out of the frame for some frames after the first; it may return at another place."""
    length = len(path.scale)
    first = int(random.integers(1, length))
    last = int(random.integers(first, length)) + 1
    center = path.center.copy()
    if random.random() < 0.5:
        center[last:] += random.uniform(0.2, 0.8, 2).astype(np.float32) - center[min(last, length - 1)]
    center[first:last] += 3.0
    return replace(path, center=center)


def until_arrival(random: np.random.Generator, length: int, late: float) -> Floats:
    """How many frames something still has to go, (T,): fewer and fewer in a share of `late`, else none."""
    arrives = int(random.integers(1, length)) if random.random() < late else 0
    return np.maximum(arrives - np.arange(length), 0).astype(np.float32)


def camera_path(random: np.random.Generator, length: int, speed: float, focus: Floats | None) -> Path:
    """A camera's path over a picture; with a focus (x, y, extent; of 0..1) that part is kept in view."""
    zoom = float(np.exp(random.uniform(0.05, 0.6)))
    if focus is not None:
        zoom = float(np.clip(random.uniform(0.3, 1.1) / focus[2], 0.9, 3.0))
    path = random_path(random, length, zoom, speed)
    if random.random() < 0.2:
        path = approach(random, path)
    target = np.array([0.5, 0.5]) if focus is None else focus[:2]
    place = random.uniform(0.35, 0.65, 2) - (target - 0.5) * path.scale[:, None]
    drift = path.center - path.center[0]
    return replace(path, center=(place + drift).astype(np.float32), bend=path.bend * np.float32(0.4))


def source_grid(path: Path, t: int, window: tuple[int, int, int, int], size: int) -> tuple[Floats, Floats]:
    """For each output pixel of a window (x0, y0, x1, y1) the layer's coordinates, -0.5..0.5 inside it."""
    x0, y0, x1, y1 = window
    xs = ((np.arange(x0, x1, dtype=np.float32) + 0.5) / size - path.center[t, 0])[None, :]
    ys = ((np.arange(y0, y1, dtype=np.float32) + 0.5) / size - path.center[t, 1])[:, None]
    cos, sin = np.cos(path.angle[t]), np.sin(path.angle[t])
    stretch = np.sqrt(path.aspect[t])
    facing = np.cos(path.yaw[t])
    width = np.copysign(max(abs(facing), NARROWEST), facing)
    u = (cos * xs + sin * ys) / (path.scale[t] * stretch * width)
    v = (-sin * xs + cos * ys) / (path.scale[t] / stretch)
    if path.bend[t] != 0:
        (fx, fy, p, w), (gx, gy, q, z) = path.waves
        du = path.bend[t] * np.sin(2 * np.pi * (fx * u + fy * v) + p + w * t)
        v = v + path.bend[t] * np.sin(2 * np.pi * (gx * u + gy * v) + q + z * t)
        u = u + du
    return u.astype(np.float32), v.astype(np.float32)
