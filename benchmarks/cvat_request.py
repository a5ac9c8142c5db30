"""What a track request of the CVAT function spends on everything but the network.

    python -m benchmarks.cvat_request --objects 1

A clip's frames go through the function's service as CVAT sends them: PNG in base64, states in the in-process
store. The time inside the network's methods is taken apart from the rest: image decoding, states in and out,
shapes.
"""

import argparse
import base64
import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from PIL import Image

from benchmarks.memory import CLIP
from keepsight.apps.cvat.service import TrackingService
from keepsight.apps.cvat.settings import Settings
from keepsight.nn.sam2 import Sam2
from keepsight.store import InProcessStore
from keepsight.video import open_source
from keepsight.weights.load import load_network

METHODS = ("encode_image", "segment", "adopt_mask", "encode_memory")
WARM = 8  # frames until memory is full


class Clock:
    """Adds up the seconds spent inside functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time taken."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def timed_network(name: str, clock: Clock) -> Sam2:
    """A network whose methods' time is taken."""
    network = load_network(name, device="cpu")
    for method in METHODS:
        setattr(network, method, clock.timing(getattr(network, method)))
    return network


def requests(frames: int, size: tuple[int, int]) -> list[str]:
    """The clip's frames as CVAT sends them, in base64."""
    texts = []
    with open_source(str(CLIP)) as source:
        for frame in source.frames(0, frames):
            file = io.BytesIO()
            Image.fromarray(frame.image).resize(size).save(file, "PNG")
            texts.append(base64.b64encode(file.getvalue()).decode())
    return texts


def main() -> None:
    """Prints the medians, as a sentence and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--shape", choices=("rectangle", "polygon"), default="polygon")
    options = parser.parse_args()
    clock = Clock()
    service = TrackingService(timed_network(options.model, clock), InProcessStore(), Settings())
    pictures = requests(options.frames, (854, 480))
    shapes = []
    for i in range(options.objects):
        x1, x2 = 60.0 + 180 * i, 200.0 + 180 * i
        box = [x1, 140.0, x2, 400.0]
        ring = [x1, 140.0, x2, 140.0, x2, 400.0, x1, 400.0]
        shapes.append({"type": options.shape, "points": box if options.shape == "rectangle" else ring})
    states = service.handle({"image": pictures[0], "shapes": shapes, "states": []})["states"]
    totals, rests = [], []
    for index, picture in enumerate(pictures[1:]):
        clock.seconds, began = 0.0, time.perf_counter()
        states = service.handle({"image": picture, "shapes": [None] * len(states), "states": states})[
            "states"
        ]
        total = time.perf_counter() - began
        if index >= WARM:
            totals.append(1000 * total)
            rests.append((total - clock.seconds) / total)
    row = {"total_ms": statistics.median(totals), "rest": statistics.median(rests)}
    print(
        f"{options.objects} {options.shape}(s): {row['total_ms']:.0f} ms a request, "
        f"{100 * row['rest']:.0f} % of it not in the network"
    )
    print(json.dumps({"model": options.model, "objects": options.objects, "shape": options.shape, **row}))


if __name__ == "__main__":
    main()
