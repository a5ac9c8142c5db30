"""Pictures to make training clips of: photographs with object masks, backgrounds, cut-outs, textured blobs.

Everything comes from `../shared/data/train`, whose licences allow shipping what is learned from it
(`../shared/data/README.md`); nothing of DAVIS is read here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from training.shares import Shares

__all__ = ["Cutout", "Photo", "Sources", "Tracklet", "blob_mask", "cut_out", "load_sources"]

Image = NDArray[np.uint8]
Region = NDArray[np.uint8]
T = TypeVar("T")
R = TypeVar("R")

SMALLEST_SHARE = 0.01  # of the picture that an object must cover to be worth following
PART = 0.85  # share of a region inside a larger one from which on it is a part of that
CLIP_STRIDE = 3  # every third frame of a background clip is kept
CLIP_SIZE = (384, 216)


@dataclass(frozen=True)
class Photo:
    """A picture and the objects in it."""

    image: Image  # (H, W, 3) RGB
    regions: tuple[Region, ...]  # each (H, W), 255 on the object
    whole_first: bool = True  # whether the first region is the most worth following


@dataclass(frozen=True)
class Tracklet:
    """An object followed through a few frames of a real clip."""

    frames: Sequence[Image]  # each (H, W, 3) RGB
    regions: Sequence[Region]  # each (H, W), 255 on the object
    whole: bool = True  # whether it is no part of another object that was followed

    @cached_property
    def liveliness(self) -> float:
        """How often it should be shown, 0.1..1: what stands still teaches little."""
        changes = [
            1 - float((old & new).sum(dtype=np.int64)) / max(int((old | new).sum(dtype=np.int64)), 1)
            for old, new in pairwise(self.regions)
        ]
        return float(np.clip(3 * np.mean(changes), 0.1, 1.0)) * (1.0 if self.whole else 0.3)


@dataclass(frozen=True)
class Cutout:
    """One object without its surroundings."""

    image: Image  # (h, w, 3) RGB
    alpha: Region  # (h, w), 255 on the object
    filled: bool = False  # whether the image shows the object's surface everywhere, beyond its outline too


@dataclass(frozen=True)
class Sources:
    """All pictures the clip factory draws from."""

    photos: Sequence[Photo]  # with objects
    backgrounds: Sequence[Image]
    clips: Sequence[Sequence[Image]]  # consecutive frames of real clips, without labels
    labelled: Sequence[Photo] = ()  # photographs whose masks `training.labels` found
    tracklets: Sequence[Tracklet] = ()  # likewise pieces of the clips
    shares: Shares = field(default_factory=Shares)  # what is made of them how often


def in_threads(read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `read` makes of every item, on all cores: decoders let other threads run."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(read, items))


def read_image(path: Path) -> Image:
    """Reads an RGB image.

    Raises:
        ValueError: the file is missing or no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path} cannot be read as an image; check the training data folder.")
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def shrunk(image: Image, longest: int, interpolation: int) -> Image:
    """The picture with its longest side at most so long; `interpolation` is OpenCV's."""
    height, width = image.shape[:2]
    scale = min(longest / max(height, width), 1.0)
    wanted = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, wanted, interpolation=interpolation).astype(np.uint8)


def clothing_regions(labels: Region) -> tuple[Region, ...]:
    """The person (union of all labels) and every garment or body part that is large enough."""
    person = (labels > 0).astype(np.uint8) * 255
    parts = [(labels == value).astype(np.uint8) * 255 for value in np.unique(labels) if value > 0]
    return tuple(r for r in (person, *parts) if r.mean() > 255 * SMALLEST_SHARE)


def polygon_regions(text: str, shape: tuple[int, int]) -> tuple[Region, ...]:
    """Objects from lines of a class number and normalised x y pairs."""
    height, width = shape
    regions = []
    for line in text.splitlines():
        numbers = np.array(line.split()[1:], dtype=np.float64).reshape(-1, 2)
        region = np.zeros(shape, np.uint8)
        corners = np.round(numbers * (width, height)).astype(np.int32)
        cv2.fillPoly(region, [corners], (255,))
        if region.mean() > 255 * SMALLEST_SHARE:
            regions.append(region)
    return tuple(regions)


def read_clip(path: Path) -> list[Image]:
    """Every `CLIP_STRIDE`-th frame of a video, at most 384 x 216."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    index = 0
    while capture.grab():
        if index % CLIP_STRIDE == 0:
            ok, frame = capture.retrieve()
            if ok:
                small = cv2.resize(frame, CLIP_SIZE, interpolation=cv2.INTER_AREA)
                frames.append(np.ascontiguousarray(small[..., ::-1]).astype(np.uint8))
        index += 1
    capture.release()
    return frames


def decoded(code: object) -> Region:
    """A COCO run-length code as a region."""
    from pycocotools import mask as coco

    return np.asarray(coco.decode(code) * np.uint8(255), dtype=np.uint8)


def label_entries(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `training.labels` wrote into a folder, by the files' stems; without what shows no object."""
    for path in sorted(folder.glob("*.json")):
        entry = json.loads(path.read_text())
        if entry["objects"]:
            yield path.stem, entry


def labelled_photo(path: Path, entry: dict[str, Any]) -> Photo:
    """A photograph without masks of its own, with those that `training.labels` wrote."""
    height, width = entry["size"]
    image = cv2.resize(read_image(path), (width, height), interpolation=cv2.INTER_AREA)
    regions = tuple(decoded(code) for code in entry["objects"])
    return Photo(image.astype(np.uint8), regions, whole_first=False)


def labelled_photos(root: Path, labels: Path) -> list[Photo]:
    """All photographs that `training.labels` found something in."""
    found = dict(label_entries(labels / "photos"))
    return in_threads(lambda name: labelled_photo(root / "photos" / f"{name}.jpg", found[name]), found)


def read_frames(path: Path, numbers: Sequence[int]) -> list[Image]:
    """Some frames of a video, in ascending order of their numbers."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Image] = []
    for number in range(max(numbers) + 1):
        if not capture.grab():
            break
        if number in numbers:
            frames.append(np.ascontiguousarray(capture.retrieve()[1][..., ::-1]).astype(np.uint8))
    capture.release()
    return frames


def is_whole(region: Region, others: Sequence[Region]) -> bool:
    """Whether a region lies in none of the others that is clearly larger."""
    area = np.count_nonzero(region)
    return not any(
        np.count_nonzero(region & other) > PART * area and np.count_nonzero(other) > 1.3 * area
        for other in others
    )


def entry_tracklets(root: Path, entry: dict[str, Any]) -> list[Tracklet]:
    """The objects that `training.labels` followed in a piece of a clip, each up to where it was lost."""
    tracklets = []
    frames = read_frames(root / "clips" / entry["clip"], entry["frames"])
    firsts = [decoded(codes[0]) for codes in entry["objects"]]
    for first, codes in zip(firsts, entry["objects"], strict=True):
        found = codes.index(None) if None in codes else len(codes)
        regions = [first, *(decoded(code) for code in codes[1 : min(found, len(frames))])]
        if len(regions) > 1:
            tracklets.append(Tracklet(frames[: len(regions)], regions, is_whole(first, firsts)))
    return tracklets


def labelled_tracklets(root: Path, labels: Path) -> list[Tracklet]:
    """The objects that were followed in all pieces of clips."""
    entries = [entry for _, entry in label_entries(labels / "clips")]
    return [track for found in in_threads(lambda x: entry_tracklets(root, x), entries) for track in found]


def clothing_photo(path: Path) -> Photo:
    """A street photograph whose label image has the same name in a folder beside it.

    Raises:
        ValueError: one of the two cannot be read.
    """
    folder = path.parents[1] / "labels"
    labels = cv2.imread(str(next(folder.glob(f"{path.stem}.*"))), cv2.IMREAD_UNCHANGED)
    if labels is None:
        raise ValueError(f"The label image of {path} cannot be read.")
    return Photo(read_image(path), clothing_regions(labels.astype(np.uint8)))


def cat_photo(path: Path) -> Photo:
    """A photograph of cats whose polygons have the same name in a folder beside it."""
    image = read_image(path)
    text = (path.parents[1] / "polygons" / f"{path.stem}.txt").read_text()
    return Photo(image, polygon_regions(text, image.shape[:2]))


def load_sources(root: Path, found: Path | None = None) -> Sources:
    """Reads all training pictures into memory (about 2 GB).

    Args:
        root: the training data folder.
        found: what `training.labels` wrote, if there is any.

    Raises:
        FileNotFoundError: the folder is missing or holds no photographs.
        ValueError: a picture cannot be read.
    """
    photos = [
        *in_threads(clothing_photo, sorted((root / "clothing" / "images").glob("*.jpg"))),
        *in_threads(cat_photo, sorted((root / "cats" / "images").glob("*.jpg"))),
    ]
    photos = [photo for photo in photos if photo.regions]
    if not photos:
        raise FileNotFoundError(
            f"No photographs with masks under {root}: pass --data with the training data."
        )
    clips = in_threads(read_clip, sorted((root / "clips").glob("*.mp4")))
    return Sources(
        photos,
        in_threads(read_image, sorted((root / "photos").glob("*.jpg"))),
        [clip for clip in clips if len(clip) > 16],
        labelled_photos(root, found) if found is not None else (),
        labelled_tracklets(root, found) if found is not None else (),
    )


def cut_out(image: Image, region: Region) -> Cutout:
    """The object with a narrow margin."""
    x, y, width, height = cv2.boundingRect(region)
    window = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
    return Cutout(image[window], region[window])


def blob_mask(random: np.random.Generator, size: int) -> Region:
    """A random smooth shape of size x size, sometimes of several lobes or with corners."""
    count = int(random.integers(4, 14))
    angles = np.sort(random.uniform(0, 2 * np.pi, count))
    radii = random.uniform(0.25, 0.5, count) * size
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] + size / 2
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], (255,))
    if random.random() < 0.7:
        blurred = cv2.GaussianBlur(mask, (0, 0), size * random.uniform(0.01, 0.05))
        mask = (blurred > 110).astype(np.uint8) * 255
    return mask
