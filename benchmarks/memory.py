"""Resident memory between frame 50 and frame 500 of a tracked video, with 1 and with 8 objects.

    python benchmarks/memory.py --model pocket
    python benchmarks/memory.py --model sam2.1_hiera_tiny --image-size 256   # random weights, quicker

The clip is first made long enough; then frames go through decoder, session and results as they do for a user.
Every case has a process of its own, since what one leaves free in the heap, the next one fills.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch

import keepsight as ks
from keepsight.export import VideoWriter
from keepsight.nn.io import VideoNetwork
from keepsight.nn.sam2 import VARIANTS, Sam2
from keepsight.video import open_source

CLIP = Path(__file__).parents[2] / "shared" / "data" / "videos" / "bedroom.mp4"
EARLY, LATE = 50, 500


def model(name: str, image_size: int | None) -> VideoNetwork:
    """A catalogue model, or, with an image size, a published architecture with random weights."""
    if image_size is None:
        return ks.load_model(name, device="cpu")
    torch.manual_seed(0)
    network = Sam2(replace(VARIANTS[name], image_size=image_size))
    return network.eval().requires_grad_(False)


def write_long(clip: Path, path: Path) -> None:
    """Writes the clip over and over into one video that is long enough."""

    def again() -> Iterator[ks.Frame]:
        while True:
            with open_source(str(clip)) as source:
                yield from source

    with VideoWriter(path, rate=Fraction(25)) as writer:
        for index, frame in enumerate(islice(again(), LATE + 1)):
            writer.write(ks.FrameResult(index, None, frame.image))


def resident_mib() -> float:
    """Resident memory of this process now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure(name: str, image_size: int | None, clip: Path, objects: int) -> None:
    """Tracks to the late frame, compares what is resident then with the early frame, and prints it."""
    session = ks.Session(model(name, image_size))
    measured: dict[str, float] = {"objects": objects}
    source = open_source(str(clip))
    for index, frame in enumerate(source):
        height, width = frame.image.shape[:2]
        step = width / (objects + 1)
        boxes = {
            i: ks.Box(step * (i + 0.5), height * 0.3, step * (i + 1.4), height * 0.8) for i in range(objects)
        }
        session.step(frame.image, boxes if index == 0 else None)
        if index in (EARLY, LATE):
            measured[f"mib_at_{index}"] = round(resident_mib(), 1)
    source.close()
    measured["growth_mib"] = round(measured[f"mib_at_{LATE}"] - measured[f"mib_at_{EARLY}"], 1)
    print(json.dumps(measured), flush=True)


def in_a_process(work: Callable[..., None], *arguments: object) -> None:
    """Calls a function in a fresh process and waits for it.

    Raises:
        SystemExit: it failed; its own traceback has been printed.
    """
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def main() -> None:
    """Prints one line per number of objects."""
    parser = argparse.ArgumentParser(description="Resident memory over 500 frames.")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--image-size", type=int, help="random weights at this input size")
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 8])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keepsight-memory-") as folder:
        clip = Path(folder) / "long.mp4"
        in_a_process(write_long, given.clip, clip)
        for objects in given.objects:
            in_a_process(measure, given.model, given.image_size, clip, objects)


if __name__ == "__main__":
    main()
