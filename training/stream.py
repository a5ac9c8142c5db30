"""New clips without end, made by worker processes beside the training."""

from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.clips import make_clip, prompt_shares
from training.pool import Made, PoolShape
from training.sources import Sources

__all__ = ["ClipStream", "clip_stream"]

AHEAD = 2  # times so many clips as are read at once are made in advance by every worker


class ClipStream(IterableDataset[Made]):
    """Clips `first`, `first` + 1, ... of a seed, shared out among the workers that read them.

    Args:
        sources: what clips are made of.
        shape: their frames and sides.
        seed: of the clips.
        first: the number of the first.
    """

    def __init__(self, sources: Sources, shape: PoolShape, seed: int, first: int = 0) -> None:
        self.sources, self.shape, self.seed, self.first = sources, shape, seed, first

    def __iter__(self) -> Iterator[Made]:
        """The share of the worker that asks."""
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        index = self.first + number
        while True:
            clip = make_clip(self.sources, self.seed, index, self.shape.length, self.shape.size)
            shares = prompt_shares(clip.objects)
            yield Made(*(torch.from_numpy(part) for part in (clip.frames, clip.objects, shares)))
            index += step


def clip_stream(stream: ClipStream, workers: int, at_once: int) -> Iterator[Made]:
    """Reads a stream with so many processes, so many clips at once.

    Raises:
        RuntimeError: a worker failed; its own error is in the text.
    """
    cv2.setNumThreads(1)  # its threads do not survive the fork, and whoever asks them for work waits forever
    # Forked workers share the pictures, 2 GB, without copies.
    loader = DataLoader(
        stream,
        batch_size=at_once,
        num_workers=workers,
        prefetch_factor=AHEAD,
        multiprocessing_context="fork",
    )
    return iter(loader)
