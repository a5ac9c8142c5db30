"""Masks for the unlabelled training pictures, by a published segmenter: objects in photos, tracks in clips.

    python -m training.labels --data ../shared/data/train --out training/runs/labels --minutes 20

Every file is complete or absent, so a run may be stopped at any time; the next one goes on where it ended.
Nothing of DAVIS is read here.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from multiprocessing import Process
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from keepsight.types import rle_of
from training.finding import (
    Labeller,
    Mask,
    Rules,
    click_grid,
    find_objects,
    flow_back,
    follow_objects,
    moving_first,
)
from training.mobile_sam import MobileSam, fetch_weights
from training.sources import read_frames, read_image, shrunk

__all__ = ["Window", "label_clips", "label_photos", "plan_windows", "until_cut"]

Image = NDArray[np.uint8]

LONGEST = 640  # side of a labelled photograph
PHOTO_GRID = 10  # clicks to a side
CLIP_GRID = 12
MOVING = 16  # clicks that go where something moves by itself, before all others
LENGTH = 12  # frames of a window
SPACING = 3  # frames from one of them to the next
ROUNDS = 7  # windows a clip at most
SHORTEST = 4  # frames an object must be followed over
CUT = 40.0  # mean difference of neighbouring frames, 0..255, that motion does not make
PHOTO_RULES = Rules()
CLIP_RULES = replace(PHOTO_RULES, smallest=0.005, clicks=28, most=9)


@dataclass(frozen=True)
class Window:
    """A few frames of a clip."""

    clip: Path
    frames: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the file with its labels."""
        return f"{self.clip.stem}_{self.frames[0]:05d}.json"


def write_whole(path: Path, entry: dict[str, Any]) -> None:
    """Writes a JSON file that is never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(entry))
    partial.replace(path)


def label_photos(labeller: Labeller, photos: Sequence[Path], out: Path, deadline: float) -> None:
    """Writes the objects of every photograph that has no file yet.

    Args:
        labeller: the segmenter.
        photos: the pictures.
        out: folder for the files.
        deadline: on the clock of `time.monotonic`, when to stop.
    """
    for path in photos:
        target = out / f"{path.stem}.json"
        if target.exists():
            continue
        if time.monotonic() > deadline:
            return
        image = shrunk(read_image(path), LONGEST, cv2.INTER_AREA)
        height, width = size = image.shape[:2]
        masks = find_objects(labeller.look(image), size, click_grid(size, PHOTO_GRID), PHOTO_RULES)
        write_whole(target, {"size": [height, width], "objects": [rle_of(mask) for mask in masks]})


def halves(number: int) -> float:
    """1/2, 1/4, 3/4, 1/8, 5/8, ...: any first part of the sequence is spread evenly over 0..1."""
    share, step, number = 0.0, 0.5, number + 1
    while number:
        share += step * (number % 2)
        step, number = step / 2, number // 2
    return share


def plan_windows(lengths: dict[Path, int]) -> Iterator[Window]:
    """The windows in the order of labelling: one of every clip, then another of every clip, ...

    Args:
        lengths: the clips and how many frames each has.
    """
    for number in range(ROUNDS):
        for clip, length in lengths.items():
            spacing = min(SPACING, (length - 1) // (LENGTH - 1))
            if spacing > 0:
                start = int(halves(number) * (length - spacing * (LENGTH - 1)))
                yield Window(clip, tuple(start + spacing * i for i in range(LENGTH)))


def clip_lengths(clips: Sequence[Path]) -> dict[Path, int]:
    """How many frames every clip says it has."""
    lengths = {}
    for path in clips:
        capture = cv2.VideoCapture(str(path))
        lengths[path] = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
    return lengths


def until_cut(frames: Sequence[Image]) -> list[Image]:
    """The frames before the first cut."""
    kept = list(frames[:1])
    for old, new in pairwise(frames):
        if float(cv2.absdiff(old, new).mean()) > CUT:
            break
        kept.append(new)
    return kept


def tracklets(labeller: Labeller, frames: Sequence[Image]) -> list[list[Mask | None]]:
    """The objects of the first frame that can be followed over at least `SHORTEST` frames."""
    if len(frames) < SHORTEST:
        return []
    size = frames[0].shape[:2]
    points = moving_first(click_grid(size, CLIP_GRID), flow_back(frames[1], frames[0]), MOVING)
    objects = find_objects(labeller.look(frames[0]), size, points, CLIP_RULES)
    tracks = follow_objects(labeller, frames, objects, CLIP_RULES)
    return [track for track in tracks if track[SHORTEST - 1] is not None]


def label_clips(labeller: Labeller, windows: Iterator[Window], out: Path, deadline: float) -> None:
    """Writes the tracklets of every window that has no file yet; arguments as for `label_photos`."""
    for window in windows:
        target = out / window.name
        if target.exists():
            continue
        if time.monotonic() > deadline:
            return
        frames = until_cut(read_frames(window.clip, window.frames))
        found = tracklets(labeller, frames)
        entry = {
            "clip": window.clip.name,
            "frames": list(window.frames[: len(frames)]),
            "size": list(frames[0].shape[:2]) if frames else [0, 0],
            "objects": [[None if mask is None else rle_of(mask) for mask in track] for track in found],
        }
        write_whole(target, entry)


def counts(out: Path) -> str:
    """What has been labelled so far, in words."""
    photos, clips = (
        [len(json.loads(path.read_text())["objects"]) for path in (out / kind).glob("*.json")]
        for kind in ("photos", "clips")
    )
    return (
        f"{sum(photos)} objects in {len(photos)} photographs, "
        f"{sum(clips)} tracklets in {len(clips)} pieces of clips"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Label the unlabelled training pictures with a published segmenter."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with photos/ and clips/")
    parser.add_argument("--out", type=Path, required=True, help="where to write photos/ and clips/")
    parser.add_argument("--minutes", type=float, default=20.0, help="when to stop")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--cache", type=Path, default=Path("training/cache"), help="where the weights are")
    return parser.parse_args()


def label_share(options: argparse.Namespace, weights: Path, number: int) -> None:
    """Labels what falls to one of the workers, until it is done or the time is over."""
    deadline = time.monotonic() + 60 * options.minutes
    labeller = MobileSam(weights)
    photos = sorted((options.data / "photos").glob("*.jpg"))
    label_photos(labeller, photos[number :: options.workers], options.out / "photos", deadline)
    clips = sorted((options.data / "clips").glob("*.mp4"))
    windows = islice(plan_windows(clip_lengths(clips)), number, None, options.workers)
    label_clips(labeller, windows, options.out / "clips", deadline)


def main() -> None:
    """Labels with all workers and says what came of it."""
    options = arguments()
    if not (options.data / "photos").is_dir() or not (options.data / "clips").is_dir():
        raise SystemExit(f"No photos/ and clips/ under {options.data}: pass --data with the training data.")
    try:
        weights = fetch_weights(options.cache)
    except RuntimeError as problem:
        raise SystemExit(str(problem)) from problem
    workers = [Process(target=label_share, args=(options, weights, n)) for n in range(options.workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(counts(options.out), flush=True)
    if any(worker.exitcode for worker in workers):
        raise SystemExit("A worker failed (see above); run it again to label the rest.")


if __name__ == "__main__":
    main()
