"""Drawing for the rendered clips: creatures seen from above, on stony ground, under bridges and rafts.

Everything is made of arrays here: relief and light, soft edges, shadows, motion blur and grain, so that a
network that learned from photographs takes what it sees for things. A frame's masks come from the very
opacities with which the frame was drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.types import BoolArray, ImageArray

__all__ = ["SIZE", "Actor", "Pose", "RenderedFrame", "Sprite", "Stage", "creature", "ground", "planks"]

SIZE = (640, 360)  # width, height of a frame
WORLD = (1400, 900)  # of the ground, for a camera that moves
EXPOSURE = 0.5  # of a frame's time the shutter is open: what motion blur comes from
LONGEST_BLUR = 60  # pixels; what moves further in a frame was put elsewhere while nobody saw it
LIGHT = (-0.55, -0.65)  # where light comes from, in the frame
SHADOW_FALL = (5.0, 7.0)  # where shadows fall, for a thing of ordinary height

Floats = npt.NDArray[Any]  # float32 throughout; OpenCV and NumPy type what they return too loosely
Colour = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class RenderedFrame:
    """One rendered frame.

    Attributes:
        image: (360, 640, 3) uint8 RGB.
        truths: by object, (360, 640) bool, the part of it that is visible.
    """

    image: ImageArray
    truths: Mapping[int, BoolArray]

    @property
    def absent(self) -> frozenset[int]:
        """The objects of which no pixel is visible."""
        return frozenset(number for number, truth in self.truths.items() if not truth.any())


class Pose(NamedTuple):
    """Where a thing is: its middle, half its length in pixels, its turn, and how it is deformed.

    A camera has a pose too: what it looks at, its magnification as size, and its roll.
    """

    x: float
    y: float
    size: float = 1.0
    angle: float = 0.0  # radians, clockwise on the screen
    aspect: float = 1.0  # longer and narrower above 1
    bend: float = 0.0  # how far the body swings sideways, in half lengths
    stroke: float = 0.0  # phase of the swing, radians


class Picture(NamedTuple):
    """A sprite at one resolution."""

    surface: Floats  # (h, w, 4) colour and opacity, 0..1
    tilt: Floats  # (h, w, 2) how far the surface leans right and down


@dataclass(frozen=True, eq=False)
class Sprite:
    """A thing seen from above, facing right, at full, half and quarter resolution."""

    pictures: tuple[Picture, ...]
    casts_shadow: float = 0.5  # how much light its shadow takes

    @classmethod
    def of(cls, colour: Floats, opacity: Floats, height: Floats, casts_shadow: float) -> "Sprite":
        """A sprite from its (h, w, 3) colour, (h, w) opacity and relief (in pixels)."""
        height = cv2.GaussianBlur(height, (0, 0), 1.2)
        tilt = np.dstack([-cv2.Sobel(height, cv2.CV_32F, *axis, scale=0.2) for axis in ((1, 0), (0, 1))])
        pictures = [Picture(np.dstack([colour, opacity]).astype(np.float32), np.clip(tilt, -1, 1))]
        for _ in range(2):
            halves = [cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in pictures[-1]]
            pictures.append(Picture(*(np.asarray(half, np.float32) for half in halves)))
        return cls(tuple(pictures), casts_shadow)

    def picture(self, size: float) -> Picture:
        """The coarsest picture that is no coarser than the screen: finer ones would flicker."""
        fine = [p for p in self.pictures if p.surface.shape[1] >= 2 * size]
        return fine[-1] if fine else self.pictures[0]


@dataclass(frozen=True, eq=False)
class Actor:
    """A sprite and its pose on every frame; with a number if it is an object to be followed."""

    sprite: Sprite
    poses: Sequence[Pose]
    number: int | None = None


@dataclass(frozen=True, eq=False)
class Stage:
    """A whole clip, ready to be drawn frame by frame.

    Attributes:
        ground: (900, 1400, 3) what lies below everything.
        actors: lowest first.
        camera: its pose on every frame.
        dapple: (h, w) slow changes of the light.
        grain: (h, w, 3) the sensor's noise.
    """

    ground: Floats
    actors: Sequence[Actor]
    camera: Sequence[Pose]
    dapple: Floats
    grain: Floats

    @classmethod
    def lit(
        cls, random: np.random.Generator, below: Floats, actors: Sequence[Actor], camera: Sequence[Pose]
    ) -> "Stage":
        """A stage with light and grain drawn at random."""
        grain = random.normal(0, 0.012, (SIZE[1] + 40, SIZE[0] + 60, 3)).astype(np.float32)
        dapple = noise(random, (SIZE[1] + 200, SIZE[0] + 400), 3, 3)
        return cls(below, actors, camera, dapple, cv2.GaussianBlur(grain, (0, 0), 0.6) * 1.6)

    def draw(self, index: int) -> RenderedFrame:
        """Renders one frame."""
        canvas = _seen_ground(self.ground, self.camera[index])
        canvas = canvas * _grey(1 + 0.10 * self._light(index))
        weights: dict[int, Floats] = {}
        for actor in self.actors:
            pose, move = self._on_screen(actor, index)
            opacity = _paint(canvas, actor.sprite, pose, move)
            for number in weights:
                weights[number] = weights[number] * (1 - opacity)
            if actor.number is not None:
                weights[actor.number] = opacity
        canvas = cv2.GaussianBlur(canvas, (0, 0), 0.7)
        # Grain from elsewhere in the stored noise on every frame, in a fixed order.
        down, right = 7 * index % 40, 11 * index % 60
        canvas += self.grain[down : down + SIZE[1], right : right + SIZE[0]]
        truths = {number: weights[number] > 0.5 for number in sorted(weights)}
        return RenderedFrame((np.clip(canvas, 0, 1) * 255).astype(np.uint8), truths)

    def _light(self, index: int) -> Floats:
        right, down = index % 400, index // 2 % 200
        return self.dapple[down : down + SIZE[1], right : right + SIZE[0]]

    def _on_screen(self, actor: Actor, index: int) -> tuple[Pose, tuple[float, float]]:
        """The pose as the camera sees it, and how far it moves on the screen while the shutter is open."""
        pose = _seen(actor.poses[index], self.camera[index])
        near = index + 1 if index + 1 < len(actor.poses) else index - 1
        other = _seen(actor.poses[near], self.camera[near]) if near >= 0 else pose
        return pose, ((other.x - pose.x) * EXPOSURE, (other.y - pose.y) * EXPOSURE)


def noise(random: np.random.Generator, shape: tuple[int, int], octaves: int, first: int = 4) -> Floats:
    """Smooth noise over several scales, mean about 0, range -1..1, (h, w)."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = first * 2**octave
        grid = random.uniform(-1, 1, (rows, max(2, rows * width // height))).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.65**octave
    return np.asarray(total / np.abs(total).max(), np.float32)


def creature(random: np.random.Generator, palette: Sequence[Colour], size: float) -> Sprite:
    """A crawling animal with a patterned shell; two of one palette are look-alikes.

    Args:
        random: draws its pattern.
        palette: skin, shell dark, shell light, marks.
        size: the largest half length in pixels at which it is to be seen.
    """
    side = int(2.4 * size) // 4 * 4 + 4
    v, u = (np.mgrid[0:side, 0:side].astype(np.float32) + 0.5) / side * 2 - 1
    body = _outline(u) - np.abs(v)
    legs = np.full_like(u, -1)
    for along, turn in ((0.36, 0.5), (-0.42, -0.6)):
        lean = u - along - turn * (np.abs(v) - 0.40)
        legs = np.maximum(legs, 0.15 - np.hypot(lean, 0.62 * (np.abs(v) - 0.44)))
    inside = np.maximum(body, legs)
    opacity = np.clip(inside * side / 2 + 0.5, 0, 1)
    shell = 1 - np.hypot((u + 0.08) / 0.68, v / 0.50)
    rough, fine = noise(random, (side, side), 5, 5), noise(random, (side, side), 4, 12)
    cells = np.sin(11 * u + 2 * rough) * np.sin(10 * v + 2 * rough)
    colour = _blend(
        0.5 + 0.5 * fine, np.multiply(palette[0], 0.75), np.minimum(np.multiply(palette[0], 1.2), 1)
    )
    plates = _blend(0.55 + 0.35 * cells + 0.4 * fine, palette[1], palette[2])
    plates = _lay(plates, palette[3], np.clip(5 * (rough + 0.25 * cells) - 1.1, 0, 0.9))
    colour = _lay(colour, plates, np.clip(shell * 14, 0, 1))
    for side_of in (-1, 1):
        eye = np.hypot(u - 0.80, v - 0.10 * side_of)
        colour = _lay(colour, (0.03, 0.03, 0.04), np.clip((0.045 - eye) * 60, 0, 1))
    dome = np.sqrt(np.clip(np.maximum(shell, 0) * (2 - shell), 0, 1)) * 0.40
    relief = dome + np.sqrt(np.clip(inside, 0, 1)) * 0.22 + 0.012 * cells + 0.015 * fine
    return Sprite.of(colour, opacity, (relief * side / 2).astype(np.float32), 0.5)


def ground(random: np.random.Generator, dark: Colour, light: Colour) -> Floats:
    """Soil with stones and tufts of grass, (900, 1400, 3)."""
    shape = WORLD[1], WORLD[0]
    patches, fine = noise(random, shape, 8, 3), noise(random, shape, 4, 90)
    picture = _blend(0.5 + 0.7 * patches + 0.25 * fine, dark, light)
    for _ in range(420):
        _stone(picture, random)
    for _ in range(500):
        foot = random.uniform((0, 0), WORLD)
        blade = foot + np.cumsum(random.normal((0, -4), 2.5, (6, 2)), axis=0)
        shade = np.array([0.22, 0.36, 0.12]) * random.uniform(0.5, 1.5)
        cv2.polylines(picture, [np.rint(blade).astype(np.int32)], False, shade.tolist(), 2)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), np.float32)


def planks(random: np.random.Generator, width: int, height: int, tone: Colour) -> Sprite:
    """Boards side by side, laid across, with straight edges: a bridge or a raft of that many pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    board = 26.0
    tints = random.uniform(0.75, 1.2, height // int(board) + 2).astype(np.float32)
    tint = tints[(y / board).astype(int)]
    streaks = cv2.resize(noise(random, (height, max(4, width // 12)), 6, 20), (width, height))
    knots = noise(random, (height, width), 5, 4)
    gap = np.clip(np.abs((y % board) - board / 2) - board / 2 + 2.2, 0, 1)
    rail = np.clip(8 - np.minimum(x, width - 1 - x), 0, 1)
    colour = _blend(0.5 + 0.5 * streaks + 0.3 * knots, np.multiply(tone, 0.6), tone) * _grey(tint)
    colour = colour * _grey((1 - 0.8 * gap * (1 - rail)) * (1 - 0.35 * rail))
    relief = 3.0 * (1 - gap) + 4.0 * rail + streaks
    return Sprite.of(colour, np.ones((height, width), np.float32), relief.astype(np.float32), 0.45)


def _outline(u: Floats) -> Floats:
    """Half the creature's width at u, -1 the tail, 1 the nose."""
    stations = [-1, -0.95, -0.8, -0.6, -0.3, 0.1, 0.4, 0.56, 0.66, 0.8, 0.92, 0.96, 1]
    widths = [-0.1, 0.0, 0.10, 0.30, 0.45, 0.51, 0.43, 0.28, 0.22, 0.23, 0.13, 0.0, -0.1]
    return np.asarray(np.interp(u, stations, widths), np.float32)


def _stone(picture: Floats, random: np.random.Generator) -> None:
    """Draws one stone with its shade into the ground."""
    radius = float(np.exp(random.uniform(np.log(4), np.log(21))))
    x, y = random.uniform((30, 30), (WORLD[0] - 30, WORLD[1] - 30))
    left, top = int(x - 1.5 * radius), int(y - 1.5 * radius)
    window = picture[max(top, 0) : top + int(3 * radius) + 2, max(left, 0) : left + int(3 * radius) + 2]
    rows, columns = np.mgrid[0 : window.shape[0], 0 : window.shape[1]].astype(np.float32)
    dx, dy = (columns + max(left, 0) - x) / radius, (rows + max(top, 0) - y) / radius
    turn, flat = random.uniform(0, np.pi), random.uniform(1.0, 1.6)
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, flat * (np.cos(turn) * dy - np.sin(turn) * dx)
    bumps = 0.12 * np.sin(3 * np.arctan2(across, along) + turn * 5)
    depth = 1 + bumps - np.hypot(along, across)
    window *= 1 - 0.5 * np.clip(1.35 - np.hypot(dx - 0.2, dy - 0.3), 0, 1)[..., None]
    tone = random.uniform(0.28, 0.54) * np.array([1.0, random.uniform(0.92, 1.0), random.uniform(0.80, 0.98)])
    shade = np.clip(
        0.85 + 0.35 * (LIGHT[0] * dx + LIGHT[1] * dy) + 0.06 * random.normal(size=dx.shape), 0.2, 1.4
    )
    window[:] = _lay(window, tone * shade[..., None], np.clip(depth * radius * 0.7, 0, 1))


def _seen(pose: Pose, camera: Pose) -> Pose:
    """A pose in the world as a pose on the screen."""
    cos, sin = np.cos(camera.angle), np.sin(camera.angle)
    x, y = pose.x - camera.x, pose.y - camera.y
    return pose._replace(
        x=float(camera.size * (cos * x - sin * y) + SIZE[0] / 2),
        y=float(camera.size * (sin * x + cos * y) + SIZE[1] / 2),
        size=pose.size * camera.size,
        angle=pose.angle + camera.angle,
    )


def _seen_ground(below: Floats, camera: Pose) -> Floats:
    """The ground on the screen, (360, 640, 3); the frame of a camera at rest lies in its middle."""
    cos, sin = camera.size * np.cos(camera.angle), camera.size * np.sin(camera.angle)
    x, y = (c + (world - size) / 2 for c, world, size in zip(camera[:2], WORLD, SIZE, strict=True))
    matrix = np.array(
        [[cos, -sin, SIZE[0] / 2 - cos * x + sin * y], [sin, cos, SIZE[1] / 2 - sin * x - cos * y]]
    )
    return np.asarray(cv2.warpAffine(below, matrix, SIZE, borderMode=cv2.BORDER_REFLECT), np.float32)


def _paint(canvas: Floats, sprite: Sprite, pose: Pose, move: tuple[float, float]) -> Floats:
    """Draws a sprite and its shadow onto a frame, in place, and returns its (360, 640) opacity."""
    opacity = np.zeros(canvas.shape[:2], np.float32)
    _shade(canvas, sprite, pose)
    left, top, right, bottom = window = _window(sprite, pose)
    if right - left < 2 or bottom - top < 2:
        return opacity
    picture = sprite.picture(pose.size)
    places = _places(picture, pose, window)
    surface = cv2.remap(picture.surface, *places, cv2.INTER_LINEAR)
    tilt = cv2.remap(picture.tilt, *places, cv2.INTER_LINEAR)
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    facing = LIGHT[0] * (cos * tilt[..., 0] - sin * tilt[..., 1])
    facing += LIGHT[1] * (sin * tilt[..., 0] + cos * tilt[..., 1])
    shade = np.clip(0.82 + 0.75 * facing, 0.25, 1.5)
    gloss = 0.5 * np.clip(facing - 0.35, 0, 1) ** 2
    here = surface[..., 3]
    lit = (surface[..., :3] * _grey(shade) + _grey(gloss)) * _grey(here)
    lit, here = _blurred(lit, move), _blurred(here, move)
    view = canvas[top:bottom, left:right]
    view[:] = view * _grey(1 - here) + lit
    opacity[top:bottom, left:right] = here
    return opacity


def _shade(canvas: Floats, sprite: Sprite, pose: Pose) -> None:
    fall = pose._replace(x=pose.x + SHADOW_FALL[0], y=pose.y + SHADOW_FALL[1])
    left, top, right, bottom = window = _window(sprite, fall)
    if right - left < 2 or bottom - top < 2:
        return
    picture = sprite.picture(pose.size)
    shape = cv2.remap(np.ascontiguousarray(picture.surface[..., 3]), *_places(picture, fall, window), 1)
    soft = cv2.GaussianBlur(shape, (0, 0), 4)
    canvas[top:bottom, left:right] *= _grey(1 - sprite.casts_shadow * soft)


def _window(sprite: Sprite, pose: Pose) -> tuple[int, int, int, int]:
    """The part of the frame that a sprite can reach, possibly empty: left, top, right, bottom."""
    height, width = sprite.pictures[0].surface.shape[:2]
    reach = pose.size * (float(np.hypot(pose.aspect, height / width / pose.aspect)) + pose.bend) + 14
    edges = (pose.x - reach, pose.y - reach, pose.x + reach, pose.y + reach)
    left, top, right, bottom = (int(np.clip(e, 0, SIZE[i % 2])) for i, e in enumerate(edges))
    return left, top, right, bottom


def _places(picture: Picture, pose: Pose, window: tuple[int, int, int, int]) -> tuple[Floats, Floats]:
    """For every pixel of a window, which column and row of the picture it shows."""
    left, top, right, bottom = window
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - pose.x)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - pose.y)
    cos, sin = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    along = (cos * x + sin * y) / np.float32(pose.size * pose.aspect)
    across = (cos * y - sin * x) / np.float32(pose.size / pose.aspect)
    if pose.bend:
        across = across + pose.bend * np.sin(2.4 * along - pose.stroke) * (0.6 - 0.4 * along)
    height, width = picture.surface.shape[:2]
    columns, rows = (along + 1) * (width / 2) - 0.5, across * (width / 2) + (height - 1) / 2
    return columns.astype(np.float32), rows.astype(np.float32)


def _blurred(picture: Floats, move: tuple[float, float]) -> Floats:
    """Smeared along the way it goes while the shutter is open."""
    steps = int(np.hypot(*move))
    if not 1 <= steps <= LONGEST_BLUR:
        return picture
    half = steps // 2 + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for part in np.linspace(-0.5, 0.5, 4 * half + 1):
        kernel[round(half + move[1] * part), round(half + move[0] * part)] += 1
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _blend(amount: Floats, low: Any, high: Any) -> Floats:
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return np.asarray(low + (high - low) * np.clip(amount, 0, 1)[..., None], np.float32)


def _lay(below: Floats, above: Any, opacity: Floats) -> Floats:
    return np.asarray(below + (np.asarray(above, np.float32) - below) * opacity[..., None], np.float32)


def _grey(values: Floats) -> Floats:
    # Three equal channels, as NumPy is slow where an array of one channel meets one of three.
    return cv2.merge([np.asarray(values, np.float32)] * 3)
