"""Rendered shapes: what a detector is trained on for a minute, and the clips in which it then finds them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from keepsight.types import ImageArray

LABELS = ("disc", "square", "triangle")
CORNERS = {"disc": 32, "square": 4, "triangle": 3}

Mask = npt.NDArray[np.bool_]
Polygon = npt.NDArray[np.float64]


class Shape(NamedTuple):
    """A regular polygon: its kind, centre and circumradius in pixels, colour, and turn in radians."""

    label: str
    x: float
    y: float
    radius: float
    colour: tuple[int, int, int]
    turn: float = 0.0

    def polygon(self) -> Polygon:
        """(N, 2) corners in pixels."""
        steps = np.arange(CORNERS[self.label]) * 2 * np.pi / CORNERS[self.label]
        angles = self.turn - np.pi / 2 + steps
        return np.array([self.x, self.y]) + self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def background(width: int, height: int, random: np.random.Generator) -> ImageArray:
    """A dim, smooth texture, (H, W, 3) RGB."""
    coarse = random.integers(20, 110, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def render(canvas: ImageArray, shapes: list[Shape]) -> tuple[ImageArray, list[Mask]]:
    """Paints shapes onto a copy of the canvas, later ones in front; and the visible part of each, (H, W)."""
    image = canvas.copy()
    owners = np.full(canvas.shape[:2], -1, np.int32)
    for number, shape in enumerate(shapes):
        corners = np.round(shape.polygon() * 16).astype(np.int32)  # with 4 fractional bits
        cv2.fillPoly(image, [corners], shape.colour, cv2.LINE_8, 4)
        cv2.fillPoly(owners, [corners], number, cv2.LINE_8, 4)
    return image, [owners == number for number in range(len(shapes))]


def scattered(width: int, height: int, count: int, random: np.random.Generator) -> list[Shape]:
    """Shapes of random kind, size, colour and place, some of them cut by the frame's edge."""
    return [
        Shape(
            LABELS[random.integers(len(LABELS))],
            float(random.uniform(0, width)),
            float(random.uniform(0, height)),
            float(random.uniform(0.12, 0.24) * height),
            tuple(int(value) for value in random.integers(120, 256, 3)),  # type: ignore[arg-type]
            float(random.uniform(0, np.pi)),
        )
        for _ in range(count)
    ]


def write_dataset(folder: Path, images: int, width: int = 160, height: int = 120, seed: int = 0) -> Path:
    """A data set as ultralytics reads it: pictures, one polygon per shape in text files, and a YAML."""
    random = np.random.default_rng(seed)
    for part, count in (("train", images), ("val", 2)):
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
        for number in range(count):
            shapes = scattered(width, height, int(random.integers(1, 4)), random)
            image, masks = render(background(width, height, random), shapes)
            cv2.imwrite(str(folder / "images" / part / f"{number}.png"), image[..., ::-1])
            lines = [
                label_line(shape, mask) for shape, mask in zip(shapes, masks, strict=True) if mask.sum() > 60
            ]
            (folder / "labels" / part / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    names = "\n".join(f"  {number}: {label}" for number, label in enumerate(LABELS))
    described = folder / "shapes.yaml"
    described.write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames:\n{names}\n", "utf-8")
    return described


def label_line(shape: Shape, mask: Mask) -> str:
    """Class and outline of the largest visible part, in fractions of width and height."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea)[:, 0] + 0.5
    outline = largest / [mask.shape[1], mask.shape[0]]
    return " ".join([str(LABELS.index(shape.label)), *(f"{value:.5f}" for value in outline.ravel())])


class Clip(NamedTuple):
    """Frames, per frame the truth of every object by id, and what every object is."""

    frames: list[ImageArray]
    truths: list[dict[int, Mask]]
    labels: dict[int, str]


def clip(count: int = 24, hidden: Mapping[int, Collection[int]] = MappingProxyType({})) -> Clip:
    """A disc, a square and a triangle that move without meeting; the disc leaves by half at the left.

    Args:
        count: how many frames, 160x120.
        hidden: by object id the frames on which it is not drawn.
    """
    canvas = background(160, 120, np.random.default_rng(5))
    frames, truths = [], []
    for i in range(count):
        shapes = {
            1: Shape("disc", 30 - 1.3 * i, 28 + 0.2 * i, 20, (240, 130, 140)),
            2: Shape("square", 60 + 2.0 * i, 85, 22, (130, 240, 150), 0.3 + 0.03 * i),
            3: Shape("triangle", 105 + 0.4 * i, 30 + 0.5 * i, 24, (140, 150, 250), 0.2),
        }
        drawn = {number: shape for number, shape in shapes.items() if i not in hidden.get(number, ())}
        frame, masks = render(canvas, list(drawn.values()))
        frames.append(frame)
        nothing = np.zeros((120, 160), np.bool_)
        truths.append(dict.fromkeys(shapes, nothing) | dict(zip(drawn, masks, strict=True)))
    return Clip(frames, truths, {number: shape.label for number, shape in shapes.items()})


def iou(first: Mask, second: Mask) -> float:
    """Common part of two masks, 0..1."""
    return float((first & second).sum() / max((first | second).sum(), 1))
