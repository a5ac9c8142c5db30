"""The clips that are learned from: a ring on the training device that new ones enter as old ones leave."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.layers import TARGET

__all__ = ["Batch", "ClipPool", "Made", "PoolShape", "pixels_of"]

Shares = NDArray[np.float32]

UNEVEN = 0.08  # standard deviation of the gain that every colour is seen with


class PoolShape(NamedTuple):
    """How large a pool is."""

    capacity: int  # clips
    length: int  # frames of a clip
    size: int  # side of a frame in pixels


class Made(NamedTuple):
    """A few clips on their way into a pool; see `training.clips.Clip`."""

    frames: Tensor  # (n, T, S, S, 3) uint8
    objects: Tensor  # (n, T, S, S) uint8
    shares: Tensor  # (n, T, N) share of each frame that each object covers, 0 where it can't be prompted


class Batch(NamedTuple):
    """B clips of T frames, with one object of each."""

    frames: Tensor  # (B, T, S, S, 3) uint8 RGB
    masks: Tensor  # (B, T, S, S) float32 of 0 and 1
    gains: Tensor  # (B, 3) factors of the colours


class ClipPool:
    """Clips with their objects; slot `i % capacity` holds the clip that was written as number i.

    Args:
        shape: of the pool.
        device: where it lies; a clip of 12 frames of 384 x 384 takes 7 MB.
    """

    def __init__(self, shape: PoolShape, device: torch.device | str = "cpu") -> None:
        self.shape, self.device = shape, torch.device(device)
        extent = (shape.capacity, shape.length, shape.size, shape.size)
        self.frames = torch.zeros((*extent, 3), dtype=torch.uint8, device=device)
        self.objects = torch.zeros(extent, dtype=torch.uint8, device=device)
        self.shares: dict[int, Shares] = {}
        self.written = 0

    def write(self, made: Made) -> None:
        """Stores clips, in place of the oldest once the pool is full."""
        slots = [(self.written + i) % self.shape.capacity for i in range(len(made.frames))]
        self.frames[slots] = made.frames.to(self.device)
        self.objects[slots] = made.objects.to(self.device)
        self.shares |= zip(slots, made.shares.numpy(), strict=True)
        self.written += len(slots)

    def read(self, random: np.random.Generator, batch: int, length: int) -> Batch:
        """Draws clips, and `length` frames and an object of each, in order or in reverse order of time."""
        slots = random.choice(len(self.shares), batch, replace=batch > len(self.shares))
        drawn = [self._drawn(random, self.shares[slot], length) for slot in slots]
        frames = torch.tensor(np.stack([frames for frames, _ in drawn]), device=self.device)
        objects = torch.tensor([which for _, which in drawn], device=self.device)
        rows = torch.tensor(slots, device=self.device)[:, None]
        masks = (self.objects[rows, frames] == objects[:, None, None, None]).float()
        pictures = self.frames[rows, frames]
        mirrored = torch.tensor(random.random(batch) < 0.5, device=self.device)
        masks = torch.where(mirrored[:, None, None, None], masks.flip(3), masks)
        pictures = torch.where(mirrored[:, None, None, None, None], pictures.flip(3), pictures)
        gains = torch.tensor(np.exp(random.normal(size=(batch, 3)) * UNEVEN), dtype=torch.float32)
        return Batch(pictures, masks, gains.to(self.device))

    def _drawn(
        self, random: np.random.Generator, shares: Shares, length: int
    ) -> tuple[NDArray[np.int64], int]:
        """Frames of a clip, and an object that can be prompted on the first of them."""
        chosen: NDArray[np.int64] = np.sort(random.choice(self.shape.length, length, replace=False))
        if random.random() < 0.5 and shares[chosen[-1], TARGET - 1]:
            chosen = chosen[::-1].copy()
        if not shares[chosen[0]].any():
            chosen[0] = 0  # the one frame that surely shows the target
        fit = np.flatnonzero(shares[chosen[0]]) + 1
        return chosen, TARGET if TARGET in fit and random.random() < 0.7 else int(random.choice(fit))


def pixels_of(frames: Tensor, gains: Tensor) -> Tensor:
    """(B, T, S, S, 3) uint8 frames as the encoder's input, (B T, 3, S, S)."""
    lit = (frames.float() * gains[:, None, None, None]).clamp_(0, 255)
    return ((lit - 127) / 128).flatten(0, 1).permute(0, 3, 1, 2)
