"""Zero-shot video object segmentation on DAVIS through the public interface.

`python benchmarks/davis.py --data ../shared/data/davis/val` prints, per sequence and prompt, the mean IoU (J)
of the tracked frames (the prompted first frame is left out) and frames per second, decoding excluded.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import keepsight as ks
from keepsight.types import Prompt

PROMPTS = ("mask", "box", "click")


class Sequence(NamedTuple):
    """One video and where its object is."""

    name: str
    frames: list[Path]
    masks: list[Path]


class Score(NamedTuple):
    """How well and how fast one sequence was tracked."""

    overlap: float
    last: float
    frames_per_second: float


def sequences(data: Path) -> Iterator[Sequence]:
    """The sequences of a DAVIS folder, with or without the resolution folder `480p` in between."""
    images, labels = data / "JPEGImages", data / "Annotations"
    if (images / "480p").is_dir():
        images, labels = images / "480p", labels / "480p"
    for folder in sorted(images.iterdir()):
        frames = sorted(folder.glob("*.jpg"))
        yield Sequence(folder.name, frames, [labels / folder.name / f"{f.stem}.png" for f in frames])


def read_mask(path: Path) -> NDArray[np.bool_]:
    """(H, W), true on the object."""
    return np.asarray(Image.open(path).convert("L")) > 127


def first_prompt(kind: str, mask: NDArray[np.bool_]) -> Prompt:
    """What a person might say about the object: its mask, its box, or a click near its middle."""
    if kind == "mask":
        return ks.Mask(mask)
    rows, columns = np.nonzero(mask)
    if kind == "box":
        return ks.Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    distance = (rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2
    nearest = int(distance.argmin())  # the object's pixel closest to its centre of mass
    return ks.Points([(float(columns[nearest]), float(rows[nearest]))], [1])


def overlap(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    """IoU; 1 where both are empty."""
    union = int((found | wanted).sum())
    return int((found & wanted).sum()) / union if union else 1.0


def score(network: object, sequence: Sequence, kind: str) -> Score:
    """Tracks a sequence from a prompt on its first frame."""
    session = ks.Session(network)  # type: ignore[arg-type]
    overlaps, seconds = [], 0.0
    for i, (frame, label) in enumerate(zip(sequence.frames, sequence.masks, strict=True)):
        image, wanted = np.asarray(Image.open(frame).convert("RGB")), read_mask(label)
        prompts = {1: first_prompt(kind, wanted)} if i == 0 else None
        start = time.perf_counter()
        found = session.step(image, prompts)[1].mask
        seconds += time.perf_counter() - start
        overlaps.append(overlap(found, wanted))
    return Score(float(np.mean(overlaps[1:])), overlaps[-1], len(overlaps) / seconds)


def main() -> None:
    """Prints a table of sequences and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/davis/val"))
    parser.add_argument("--model", default="pocket", help="catalogue name or path")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=["mask", "box"])
    parser.add_argument("--threads", type=int, help="of torch; all cores when omitted")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    network = ks.load_model(options.model, device=options.device, dtype=options.dtype)
    rows = list(sequences(options.data))
    for kind in options.prompts:
        scores = []
        print(f"{options.model}, first frame's {kind}, input {network.input_spec.size}")
        for sequence in rows:
            scores.append(score(network, sequence, kind))
            found = scores[-1]
            print(
                f"  {sequence.name:20} J {found.overlap:.3f}  last frame {found.last:.3f}  "
                f"{found.frames_per_second:5.1f} frames/s",
                flush=True,
            )
        means = np.array(scores).mean(axis=0)
        print(f"  {'mean':20} J {means[0]:.3f}  last frame {means[1]:.3f}  {means[2]:5.1f} frames/s")


if __name__ == "__main__":
    main()
