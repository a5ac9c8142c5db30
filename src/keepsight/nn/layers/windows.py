"""Cutting a map into windows, within which attention stays, and putting it together again."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["join_windows", "split_windows"]


def split_windows(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, window, window, C), padded below and to the right where it must be."""
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    tiles = x.reshape(batch, rows, window, columns, window, channels).transpose(2, 3)
    return tiles.reshape(-1, window, window, channels)


def join_windows(tiles: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `split_windows` for an image of the given height and width."""
    window, channels = tiles.shape[1], tiles.shape[3]
    height, width = size
    rows, columns = -(-height // window), -(-width // window)
    x = tiles.reshape(-1, rows, columns, window, window, channels).transpose(2, 3)
    return x.reshape(-1, rows * window, columns * window, channels)[:, :height, :width]
