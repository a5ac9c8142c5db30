"""A pool of clips whose frames have already been through the frozen backbone, shared by two processes.

One process makes clips and writes them round and round into files that it shares with the trainer; so the
backbone costs nothing while training, and the clips change as training goes on.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keepsight.nn.efficientnet import LEVEL_WIDTHS, EfficientNetLevels, EfficientNetLite
from keepsight.weights.device import pick_dtype
from training.clips import SMALLEST_PROMPT, make_clip
from training.imagenet import imagenet_weights
from training.sources import Sources, load_sources

__all__ = ["Batch", "ClipPool", "PoolShape", "normalise"]

STRIDES = (4, 8, 16, 32)
COUNT_FILE = "count.json"


class PoolShape(NamedTuple):
    """How large a pool is."""

    capacity: int = 3000  # clips
    length: int = 8  # frames of a clip
    size: int = 256  # side of a frame in pixels


class Batch(NamedTuple):
    """B clips of T frames."""

    levels: EfficientNetLevels  # (B, T, c, s, s) each
    masks: Tensor  # (B, T, S, S) float32 of 0 and 1


def normalise(frames: NDArray[np.uint8]) -> Tensor:
    """(T, S, S, 3) RGB to the backbone's input, (T, 3, S, S)."""
    return (torch.from_numpy(frames).permute(0, 3, 1, 2).float() - 127) / 128


class ClipPool:
    """Memory-mapped arrays of a folder; slot `i % capacity` holds clip `i`.

    Args:
        folder: where the arrays lie, or are made when they are missing.
        shape: of the pool; must be that of the existing files.
    """

    def __init__(self, folder: Path, shape: PoolShape) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape = folder, shape
        lead = (shape.capacity, shape.length)
        self.levels = [
            self._array(f"stride{s}", (*lead, width, shape.size // s, shape.size // s), np.float16)
            for s, width in zip(STRIDES, LEVEL_WIDTHS, strict=True)
        ]
        self.masks = self._array("masks", (*lead, shape.size, shape.size // 8), np.uint8)

    def _array(self, name: str, shape: tuple[int, ...], dtype: type) -> NDArray[np.generic]:
        path = self.folder / f"{name}.npy"
        if not path.exists():
            return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        array = np.lib.format.open_memmap(path, mode="r+")
        if array.shape != shape:
            raise ValueError(
                f"{path} holds {array.shape}, expected {shape}: remove the folder to start anew."
            )
        return array

    @property
    def written(self) -> int:
        """How many clips were ever written."""
        path = self.folder / COUNT_FILE
        return int(json.loads(path.read_text())) if path.exists() else 0

    def write(self, index: int, levels: EfficientNetLevels, masks: NDArray[np.uint8]) -> None:
        """Stores clip `index`: levels (T, c, s, s) and masks (T, S, S) of 0 and 1."""
        slot = index % self.shape.capacity
        for array, level in zip(self.levels, levels, strict=True):
            array[slot] = level.float().half().numpy()
        self.masks[slot] = np.packbits(masks, axis=-1)
        partial = self.folder / f"{COUNT_FILE}.part"
        partial.write_text(json.dumps(index + 1))
        partial.replace(self.folder / COUNT_FILE)

    def read(self, random: np.random.Generator, batch: int, length: int) -> Batch:
        """Draws clips, and `length` frames of each in order or in reverse order of time.

        The reader leaves out the slot that is being written.
        """
        written = self.written
        filled = min(written, self.shape.capacity)
        busy = written % self.shape.capacity
        slots = (
            (busy + 1 + random.integers(0, filled - 1, batch)) % filled
            if filled > 1
            else np.zeros(batch, int)
        )
        frames = np.stack([self._frames(random, int(slot), length) for slot in slots])
        levels = [torch.from_numpy(array[slots[:, None], frames]).float() for array in self.levels]
        masks = np.unpackbits(self.masks[slots[:, None], frames], axis=-1)
        return Batch(EfficientNetLevels(*levels), torch.from_numpy(masks).float())

    def _frames(self, random: np.random.Generator, slot: int, length: int) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = np.sort(random.choice(self.shape.length, length, replace=False))
        backwards: NDArray[np.int64] = chosen[::-1].copy()
        if random.random() < 0.5 and self._share(slot, backwards[0]) > SMALLEST_PROMPT:
            return backwards
        if self._share(slot, chosen[0]) < SMALLEST_PROMPT:
            chosen[0] = 0  # the one frame that surely shows the object
        return chosen

    def _share(self, slot: int, frame: int) -> float:
        return float(np.unpackbits(self.masks[slot, frame]).mean())


def fill(pool: ClipPool, sources: Sources, seed: int, until: int, rate: float = 0.0) -> None:
    """Makes clips and runs them through the backbone until `until` clips were written.

    Args:
        pool: to be filled, from where it was left.
        sources: what clips are made of.
        seed: of the clips.
        until: total number of clips.
        rate: clips a second, so that the trainer keeps the processor once the pool is full; 0 for all it can.
    """
    backbone = EfficientNetLite().eval()
    backbone.load_state_dict(imagenet_weights())
    # Where the network will compute in bfloat16, it learns from such features, which come twice as fast.
    kind = pick_dtype("auto")
    backbone.to(kind)
    start = due = time.monotonic()
    first = pool.written
    for index in range(first, until):
        clip = make_clip(sources, seed, index, pool.shape.length, pool.shape.size)
        with torch.inference_mode():
            levels = backbone(normalise(clip.frames).to(kind))
        pool.write(index, levels, clip.masks)
        if rate and index >= pool.shape.capacity // 2:
            due = max(due + 1 / rate, time.monotonic() - 1 / rate)
            time.sleep(max(due - time.monotonic(), 0))
        if index % 200 == 199:
            speed = (index + 1 - first) / (time.monotonic() - start)
            print(f"{index + 1} clips, {speed:.1f} per second", flush=True)


def main() -> None:
    """Fills a pool; run beside the trainer."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train"))
    parser.add_argument("--labels", type=Path, default=Path("training/runs/labels"))
    parser.add_argument("--capacity", type=int, default=PoolShape().capacity)
    parser.add_argument("--length", type=int, default=PoolShape().length)
    parser.add_argument("--size", type=int, default=PoolShape().size)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", type=int, default=10**9)
    parser.add_argument(
        "--rate", type=float, default=2.0, help="clips a second once half of the pool is full"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    cv2.setNumThreads(1)
    shape = PoolShape(options.capacity, options.length, options.size)
    sources = load_sources(options.data, options.labels)
    fill(ClipPool(options.folder, shape), sources, options.seed, options.until, options.rate)


if __name__ == "__main__":
    main()
