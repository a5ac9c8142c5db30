"""What a clip in training remembers: frames that were prompted, and frames that were tracked."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from keepsight.nn.io import MemoryBatch

__all__ = ["Entry", "Memory"]

OLDEST = 6  # largest age of a recent memory


class Entry(NamedTuple):
    """A batch of objects on one frame, as memory."""

    map: Tensor  # (B, n, D)
    pointer: Tensor  # (B, C)
    sighted: Tensor  # (B,) whether it shows the object well


@dataclass
class Memory:
    """What is remembered of a batch of objects, as the engine's `MemoryBank` has it."""

    prompted: dict[int, Entry] = field(default_factory=dict)  # by frame
    recent: list[Entry] = field(default_factory=list)  # the tracked ones, oldest first

    def recall(self, frame: int, random: np.random.Generator, dtype: torch.dtype) -> MemoryBatch:
        """The entries in reach of a frame: the prompted ones, closest in time first, then the recent ones.

        Their ages are spread at random and how many are in reach as well, so that every age, and what is long
        gone, is learned from short clips.

        Args:
            frame: where they are to be used.
            random: source of chance.
            dtype: of the network that will read them; entries may have been made by one of another type.
        """
        order = sorted(self.prompted, key=lambda told: (abs(told - frame), told))
        prompted = [self.prompted[told] for told in order]
        reach = OLDEST if random.random() < 0.5 else int(random.integers(2, OLDEST + 1))
        recent, sightings = self.in_reach(reach)
        ages = [0] * len(prompted)
        if recent:
            older = random.choice(np.arange(2, OLDEST + 1), len(recent) - 1, replace=False)
            ages += [*sorted(map(int, older), reverse=True), 1]
        past = len(self.recent)
        distances = [max(int(np.exp(random.uniform(0, 5))), past + 1) for _ in prompted]
        distances += range(past, 0, -1)
        batch, device = len(prompted[0].map), prompted[0].map.device
        return MemoryBatch(
            torch.stack([x.to(dtype) for x in (*(entry.map for entry in prompted), *recent)], dim=1),
            torch.tensor(ages, device=device).expand(batch, -1),
            torch.stack([entry.pointer.to(dtype) for entry in (*prompted, *self.recent)], dim=1),
            torch.tensor(distances, dtype=torch.float32, device=device).expand(batch, -1),
            sightings=sightings,
        )

    def in_reach(self, reach: int) -> tuple[list[Tensor], int]:
        """Maps of the last `reach` tracked frames, the oldest first, and how many are an earlier sighting.

        Of an object that none of them shows well, the last sighting before takes the place of the oldest, as
        `LatestPolicy` has it; where one object's does, it counts for the batch. Short clips have few frames,
        so `reach` may be less than the policy's.
        """
        maps, past = [entry.map for entry in self.recent[-reach:]], self.recent[:-reach]
        if not past:
            return maps, 0
        wanting = ~torch.stack([entry.sighted for entry in self.recent[-reach:]]).any(dim=0)
        sightings = int((wanting & torch.stack([entry.sighted for entry in past]).any(dim=0)).any())
        for entry in reversed(past):
            taken = wanting & entry.sighted
            maps[0] = torch.where(taken[:, None, None], entry.map.to(maps[0].dtype), maps[0])
            wanting = wanting & ~taken
        return maps, sightings
