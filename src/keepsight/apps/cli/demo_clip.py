"""The demo's clip, rendered: a fish swims behind a rock, comes back out and turns around.

It moves, bends, changes its size, is all but hidden for a while and has a companion that looks different; the
background pans and shimmers. The ground truth comes with it, so the demo can say how well it did.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.types import BoolArray, ImageArray

__all__ = ["CLIP_LENGTH", "CLIP_RATE", "CLIP_SIZE", "ClipFrame", "clip_box", "render_clip", "write_clip"]

CLIP_SIZE = (640, 360)  # width, height
CLIP_LENGTH = 90
CLIP_RATE = Fraction(25)

Floats = npt.NDArray[Any]  # float32 throughout; OpenCV and NumPy type what they return too loosely


@dataclass(frozen=True, eq=False)
class ClipFrame:
    """One rendered frame.

    Attributes:
        image: (360, 640, 3) uint8 RGB.
        truth: (360, 640) bool, the visible part of the fish.
    """

    image: ImageArray
    truth: BoolArray


@dataclass(frozen=True)
class _Pose:
    """Where a fish is: its middle, half length in pixels, heading (cosine of its turn), tilt and stroke."""

    x: float
    y: float
    size: float
    heading: float
    tilt: float
    stroke: float


def render_clip(length: int = CLIP_LENGTH, seed: int = 7) -> Iterator[ClipFrame]:
    """Renders the clip frame by frame; the same seed gives the same frames.

    Args:
        length: number of frames; the story is told in that many.
        seed: of the textures.
    """
    random = np.random.default_rng(seed)
    sea, rock = _sea(random), _rock(random)
    shimmer = _noise(random, (400, 900), 6)
    orange, blue = _skin(random, _CLOWN), _skin(random, _BLUE)
    grain = random.normal(0, 0.008, (400, 700, 3)).astype(np.float32)
    for index in range(length):
        t = index / max(1, CLIP_LENGTH - 1)
        canvas = _view(sea, 60 + 130 * t)
        _place_fish(canvas, blue, _companion(t))
        truth = _place_fish(canvas, orange, _hero(t))
        stone = _view(rock, 40 + 30 * t)
        canvas = _lay(canvas, stone[..., :3], stone[..., 3])
        canvas *= _grey(1 + 0.22 * _light(shimmer, index))
        down, right = random.integers(0, 40), random.integers(0, 60)
        canvas += grain[down : down + CLIP_SIZE[1], right : right + CLIP_SIZE[0]]
        yield ClipFrame((canvas.clip(0, 1) * 255).astype(np.uint8), truth & (stone[..., 3] < 0.5))


def clip_box(frame: ClipFrame) -> tuple[float, float, float, float]:
    """The tight box (x1, y1, x2, y2) of the fish, right and bottom edge exclusive."""
    rows, columns = np.flatnonzero(frame.truth.any(axis=1)), np.flatnonzero(frame.truth.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def write_clip(path: Path, frames: Iterator[ClipFrame]) -> list[BoolArray]:
    """Writes frames as an H.264 video.

    Args:
        path: the video file, replaced if it exists.
        frames: what to write.

    Returns:
        The ground truth of every frame.
    """
    import av

    truths: list[BoolArray] = []
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=CLIP_RATE, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height = CLIP_SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
            truths.append(frame.truth)
        container.mux(stream.encode())
    return truths


def _hero(t: float) -> _Pose:
    """Swims right, behind the rock, out again, turns, and comes halfway back."""
    turn = np.clip((t - 0.72) / 0.14, 0, 1)
    across = 105 + 470 * min(t / 0.76, 1.0) - 85 * max(0.0, t - 0.82) / 0.18
    heading = float(np.cos(np.pi * turn))
    heading = np.copysign(max(0.35, abs(heading)), heading)
    return _Pose(
        x=across,
        y=185 + 38 * np.sin(2.3 * np.pi * t) - 25 * t,
        size=74 + 12 * np.cos(2.6 * np.pi * t),
        heading=heading,
        tilt=0.28 * np.cos(2.3 * np.pi * t) * np.sign(heading),
        stroke=24 * t,
    )


def _companion(t: float) -> _Pose:
    return _Pose(x=560 - 330 * t, y=92 + 14 * np.sin(6 * t), size=40, heading=-1, tilt=0.08, stroke=30 * t)


def _noise(random: np.random.Generator, shape: tuple[int, int], octaves: int, first: int = 3) -> Floats:
    """Smooth noise over several scales, mean 0, range about -1..1."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cells = first * 2**octave
        grid = random.uniform(-1, 1, (cells, max(2, cells * width // height))).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.62**octave
    return np.asarray(total / np.abs(total).max(), np.float32)


def _blend(amount: Floats, low: Any, high: Any) -> Floats:
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return np.asarray(low + (high - low) * np.clip(amount, 0, 1)[..., None], np.float32)


def _sea(random: np.random.Generator) -> Floats:
    """Water above, sand below, weeds and stones between: (360, 900, 3)."""
    height, width = CLIP_SIZE[1], 900
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    depth = y / height
    water = _blend(
        1 - depth + 0.18 * _noise(random, (height, width), 5), (0.02, 0.20, 0.34), (0.30, 0.68, 0.78)
    )
    reef = _noise(random, (height, width), 6, 4)
    shore = 250 + 45 * _noise(random, (height, width), 3, 2)
    hills = _blend(0.5 + 0.6 * reef, (0.06, 0.18, 0.22), (0.30, 0.42, 0.36))
    picture = np.where((y > shore - 60 + 35 * np.sin(x / 57))[..., None], hills, water)
    ripples = 0.5 + 0.35 * np.sin(x / 9 + y / 2.2 + 5 * reef) + 0.4 * _noise(random, (height, width), 7, 5)
    sand = _blend(ripples, (0.46, 0.42, 0.30), (0.82, 0.76, 0.58))
    picture = np.where((y > shore + 42)[..., None], sand, picture).astype(np.float32)
    for _ in range(26):
        _weed(picture, random)
    return cv2.GaussianBlur(picture, (0, 0), 1.1).astype(np.float32)


def _weed(picture: Floats, random: np.random.Generator) -> None:
    foot, tall = random.uniform(0, 900), random.uniform(50, 150)
    rise = np.linspace(0, 1, 20)
    sway = foot + random.uniform(8, 22) * np.sin(rise * random.uniform(3, 7) + random.uniform(0, 6)) * rise
    line = np.stack([sway, 345 - random.uniform(0, 50) - tall * rise], axis=1)
    colour = np.array([0.10, 0.30, 0.18]) + random.uniform(0, 0.22, 3) * (0.6, 1, 0.5)
    for width, shade in ((9, 0.65), (4, 1.0)):
        points = [np.rint(line).astype(np.int32)]
        cv2.polylines(picture, points, False, (colour * shade).tolist(), width, cv2.LINE_AA)


def _rock(random: np.random.Generator) -> Floats:
    """The pillar in front, (360, 740, 4): colour and alpha."""
    height, width = CLIP_SIZE[1], 740
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rough = _noise(random, (height, width), 7, 4)
    half = 38 + 22 * (y / height) ** 2 + 14 * _noise(random, (height, width), 4, 3)
    across = (x - 385 - 18 * np.sin(y / 70)) / half
    alpha = np.clip((1 - np.abs(across)) * 30, 0, 1) * np.clip((y - 20 - 25 * rough) / 3, 0, 1)
    shade = np.clip(1.05 - 0.55 * np.abs(across + 0.35) + 0.35 * rough, 0.1, 1.3)
    stone = _blend(0.5 + 0.9 * rough, (0.20, 0.15, 0.16), (0.62, 0.50, 0.44)) * shade[..., None]
    coral = np.clip(_noise(random, (height, width), 5, 9) * 4 - 1.4, 0, 1)
    stone = _lay(stone, _blend(rough + 0.5, (0.45, 0.12, 0.30), (0.85, 0.40, 0.55)), coral)
    return np.dstack([stone, alpha]).astype(np.float32)


_CLOWN = {
    "low": (0.85, 0.30, 0.05),
    "high": (1.0, 0.62, 0.16),
    "bands": ((0.27, 0.055), (0.56, 0.06), (0.80, 0.04)),
}
_BLUE = {"low": (0.15, 0.22, 0.55), "high": (0.40, 0.60, 0.90), "bands": ((0.75, 0.05),)}


def _outline(u: Floats) -> Floats:
    """Half the fish's height at u, 0 the mouth, 1 the tip of the tail, in lengths of the fish."""
    stations = [0, 0.03, 0.12, 0.28, 0.45, 0.62, 0.76, 0.82, 0.90, 1.0]
    heights = [0, 0.07, 0.15, 0.215, 0.225, 0.17, 0.085, 0.075, 0.15, 0.20]
    return np.asarray(np.interp(u, stations, heights), np.float32)


def _skin(random: np.random.Generator, look: dict[str, Any]) -> Floats:
    """A fish at rest, mouth to the left: (240, 400, 4) colour and alpha, u across 400, v down 240."""
    v, u = np.mgrid[0:240, 0:400].astype(np.float32)
    u, v = (u - 30) / 340, (v - 120) / 340
    half = _outline(u)
    inside = np.where((u > 0) & (u < 1 - 0.08 * np.exp(-((v / 0.06) ** 2))), half - np.abs(v), -1)
    fin = 0.30 * np.exp(-(((u - 0.45) / 0.16) ** 4)) + 0.02 * np.sin(u * 90)
    fins = np.where((u > 0.2) & (u < 0.72), fin - np.abs(v), -1)
    alpha = np.clip(np.maximum(inside, fins) * 120, 0, 1)
    scales = 0.5 + 0.25 * np.sin(u * 95 + 14 * v) * np.sin(v * 130) + 0.5 * _noise(random, (240, 400), 6, 4)
    colour = _blend(scales, look["low"], look["high"])
    for centre, width in look["bands"]:
        off = np.abs(u - centre - 0.25 * v**2 + 0.02 * np.sin(18 * v)) / width
        colour = _lay(colour, np.array([0.05, 0.04, 0.06]), np.clip((1.35 - off) * 8, 0, 1))
        colour = _lay(colour, np.array([0.96, 0.95, 0.92]), np.clip((1.0 - off) * 8, 0, 1))
    rays = np.where(inside < 0.004, 0.55 + 0.25 * np.sin(u * 220), 1)
    round_ = np.sqrt(np.clip(1 - (v / np.maximum(half, 0.03)) ** 2, 0.12, 1)) - 0.35 * (v / 0.22)
    colour *= (np.clip(0.35 + 0.7 * round_, 0.25, 1.25) * rays)[..., None]
    for radius, tone in ((0.036, 0.95), (0.024, 0.04)):
        eye = np.clip((radius - np.hypot(u - 0.12, v + 0.045)) * 120, 0, 1)
        colour = _lay(colour, np.full(3, tone), eye)
    return np.dstack([colour, alpha]).astype(np.float32)


def _place_fish(canvas: Floats, skin: Floats, pose: _Pose) -> BoolArray:
    """Draws a posed fish into a frame and returns where it is, (360, 640)."""
    reach = 1.4 * pose.size
    (left, right), (top, bottom) = (
        np.clip((int(middle - reach), int(middle + reach)), 0, end)
        for middle, end in zip((pose.x, pose.y), CLIP_SIZE, strict=True)
    )
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32) - np.reshape([pose.y, pose.x], (2, 1, 1))
    cos, sin = np.cos(pose.tilt), np.sin(pose.tilt)
    along, down = (cos * x + sin * y) / (2 * pose.size), (cos * y - sin * x) / (2 * pose.size)
    u = 0.5 - along / pose.heading
    v = down - 0.085 * np.sin(2 * np.pi * (1.1 * u) - pose.stroke) * np.clip(u, 0, 1.1) ** 1.5
    columns, rows = (u * 340 + 30).astype(np.float32), (v * 340 + 120).astype(np.float32)
    fish = cv2.remap(skin, columns, rows, cv2.INTER_LINEAR)
    window = canvas[top:bottom, left:right]
    window[:] = _lay(window, fish[..., :3], fish[..., 3])
    where = np.zeros(canvas.shape[:2], np.bool_)
    where[top:bottom, left:right] = fish[..., 3] > 0.5
    return where


def _view(picture: Floats, left: float) -> Floats:
    """The part of a wide picture that starts at a fractional column."""
    width, height = CLIP_SIZE
    shift = np.array([[1, 0, -left], [0, 1, 0]], np.float64)
    seen = cv2.warpAffine(
        picture, shift, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(seen, np.float32).reshape(height, width, -1)


def _light(shimmer: Floats, index: int) -> Floats:
    width, height = CLIP_SIZE
    one = shimmer[20 : 20 + height, index : index + width]
    other = shimmer[:height, 250 - index : 250 - index + width]
    return np.asarray(1 - 4 * np.abs(one - other), np.float32)


def _lay(below: Floats, above: Floats, alpha: Floats) -> Floats:
    # Three equal channels, as NumPy is slow where an array of one channel meets one of three.
    return np.asarray(below + (above - below) * _grey(alpha), np.float32)


def _grey(values: Floats) -> Floats:
    return cv2.merge([np.asarray(values, np.float32)] * 3)
