"""What moves through training clips: objects cut from photographs, shapes filled with pieces of pictures."""

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np

from training.sources import Cutout, Image, Photo, Region, Sources, blob_mask, cut_out

__all__ = [
    "any_photo",
    "any_picture",
    "one_of",
    "panel",
    "pick_region",
    "random_cutout",
    "recolour",
    "textured_blob",
    "twin_of",
]

T = TypeVar("T")

PAINTED = 0.3  # share of the textures that are of nearly one colour
LABELLED = 0.35  # share of the objects that come from photographs labelled by a model, where there are any


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


def painted(random: np.random.Generator, image: Image) -> Image:
    """The picture as it looks through a coat of paint."""
    return (0.25 * image + 0.75 * random.uniform(0, 255, 3)).astype(np.uint8)


def twin_of(random: np.random.Generator, cutout: Cutout) -> Cutout:
    """Something that looks like an object: coloured a little otherwise, in half of the cases mirrored."""
    image, alpha = recolour(random, cutout.image, 0.3 * random.random()), cutout.alpha
    if random.random() < 0.5:
        image, alpha = image[:, ::-1], alpha[:, ::-1]
    return Cutout(image, alpha)


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


def silhouette(random: np.random.Generator, sources: Sources, size: int) -> Region:
    """The outline of an object of some photograph, in a square of `size`."""
    photo = any_photo(random, sources)
    alpha = cut_out(photo.image, photo.regions[pick_region(random, photo)]).alpha
    scale = size / max(alpha.shape)
    wanted = [max(round(side * scale), 1) for side in alpha.shape]
    square = np.zeros((size, size), np.uint8)
    top, left = ((size - side) // 2 for side in wanted)
    fitted = cv2.resize(alpha, (wanted[1], wanted[0]), interpolation=cv2.INTER_LINEAR)
    square[top : top + wanted[0], left : left + wanted[1]] = fitted
    return square


def textured_blob(random: np.random.Generator, sources: Sources) -> Cutout:
    """A random shape, or an object's outline, filled with a piece of a picture."""
    size = 160
    picture = any_picture(random, sources)
    side = int(min(picture.shape[:2]) * random.uniform(0.15, 0.9))
    y, x = (int(random.integers(0, extent - side + 1)) for extent in picture.shape[:2])
    texture = cv2.resize(picture[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_LINEAR)
    if random.random() < PAINTED:
        texture = painted(random, texture.astype(np.uint8))
    outline = silhouette(random, sources, size) if random.random() < 0.4 else blob_mask(random, size)
    return Cutout(recolour(random, texture.astype(np.uint8), 1.0), outline, filled=True)


def panel(random: np.random.Generator, sources: Sources, aspect: float) -> Cutout:
    """A rectangle of some picture, so many times as high as wide: a wall, a van, a door."""
    picture = any_picture(random, sources)
    rows, columns = picture.shape[:2]
    width = min(columns, rows / aspect) * random.uniform(0.2, 0.9)
    sides = [min(max(round(side), 2), most) for side, most in ((width * aspect, rows), (width, columns))]
    y, x = int(random.integers(0, rows - sides[0] + 1)), int(random.integers(0, columns - sides[1] + 1))
    piece = recolour(random, picture[y : y + sides[0], x : x + sides[1]], 0.8)
    if random.random() < PAINTED:
        piece = painted(random, piece)
    return Cutout(piece, np.full(piece.shape[:2], 255, np.uint8))


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
