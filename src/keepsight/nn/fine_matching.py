"""The object's mask carried over from memory at stride 8, twice as fine as memory itself.

Memory attention works on cells of stride 16, which say what is where but not where it ends. Video object
segmentation networks that match pixels (FEELVOS, Voigtlaender et al. 2019) look the first frame up globally
and the latest one nearby; so does this read, and the mask it brings along has stride 4.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.io import ImageFeatures

__all__ = ["FineRead"]

SHARPNESS = 2.7  # log of the factor of cosines, before training
NEARNESS = 6.0  # log of the near read's penalty per squared frame side, before training
BLOCK = 4  # queries along each side of a block that shares one window
MARGIN = 8  # how far the window reaches beyond the block
OUTSIDE = -60.0  # log likeness of what lies beyond the frame's edge
FAINTEST = 1e-6  # sum of likenesses that counts as none
CONFIDENCE_UNIT = 8.0  # logs of likeness are divided by this


class _Carried(NamedTuple):
    """A weighted mean of remembered masks and how much weight there was, on the grid of stride 8."""

    mask: Tensor  # (B, 4, 2h, 2w), 0..1, the cell's 2 x 2 parts
    weight: Tensor  # (B, 1, 2h, 2w)


class FineRead(nn.Module):
    """Remembers a key of every stride-8 cell and carries masks over to where a frame looks alike.

    Args:
        width: C, the width of the image embedding.
        key_width: channels K of a key.
    """

    CHANNELS = 4  # that `read` returns

    def __init__(self, width: int, key_width: int) -> None:
        super().__init__()
        self.middle_key = nn.Conv2d(width // 4, key_width, 1)
        self.coarse_key = nn.Conv2d(width, key_width, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor([SHARPNESS, SHARPNESS]))
        self.nearness = nn.Parameter(torch.tensor(NEARNESS))

    def remember(self, features: ImageFeatures) -> Tensor:
        """Unit keys of a frame, those of a memory cell's 2 x 2 parts side by side: (1 or B, n, 4 K)."""
        return F.pixel_unshuffle(self._keys(features), 2).flatten(2).transpose(1, 2)

    def read(self, features: ImageFeatures, remembered: Tensor, evidence: Tensor) -> Tensor:
        """Carries the masks of the first and the last remembered frame over to a frame.

        Args:
            features: the frame.
            remembered: (B, F, n, 4 K) from `remember`; the first a prompted frame, the last the latest.
            evidence: (B, F, n, 16) mask probabilities of the cells' 4 x 4 parts.

        Returns:
            (B, 4, 4h, 4w): the mask of the first frame, looked up everywhere, and of the last, looked up
            nearby, probabilities 0..1; then the logs of how alike the places were that each came from, in
            units of `CONFIDENCE_UNIT`.
        """
        rows = features.embedding.shape[2]
        query = self._keys(features)
        keys = [F.pixel_shuffle(_map(remembered[:, i], rows), 2).to(query.dtype) for i in (0, -1)]
        masks = [F.pixel_unshuffle(F.pixel_shuffle(_map(evidence[:, i], rows), 4), 2) for i in (0, -1)]
        found = (self._everywhere(query, keys[0], masks[0]), self._nearby(query, keys[1], masks[1]))
        weights = torch.cat([carried.weight for carried in found], dim=1).float()
        told = weights.clamp(min=FAINTEST).log() / CONFIDENCE_UNIT
        carried = F.pixel_shuffle(torch.cat([carried.mask for carried in found], dim=1), 2)
        return torch.cat((carried.float(), F.interpolate(told, scale_factor=2.0)), dim=1)

    def _keys(self, features: ImageFeatures) -> Tensor:
        coarse = F.interpolate(self.coarse_key(features.embedding), scale_factor=2.0)
        return F.normalize(self.middle_key(features.middle) + coarse, dim=1)

    def _everywhere(self, query: Tensor, keys: Tensor, mask: Tensor) -> _Carried:
        """Looks every cell of query (1 or B, K, 2h, 2w) up in all of keys (B, K, 2h, 2w)."""
        sharpness = self.sharpness[0].float().exp().to(query.dtype)
        # The product subtracts the largest cosine, 1, itself: it sums in float32 whatever the type.
        asked = torch.cat((query * sharpness, torch.zeros_like(query[:, :1]) - sharpness), dim=1)
        offered = torch.cat((keys, torch.ones_like(keys[:, :1])), dim=1)
        likeness = (asked.flatten(2).transpose(1, 2) @ offered.flatten(2)).exp()
        read = likeness @ _with_ones(mask, likeness.dtype).flatten(2).transpose(1, 2)
        return _mean(read.transpose(1, 2).reshape(len(read), -1, *query.shape[2:]))

    def _nearby(self, query: Tensor, keys: Tensor, mask: Tensor) -> _Carried:
        """Looks every cell up among those of keys that lie close to its own place."""
        height, width = query.shape[2:]
        batch, window = len(keys), BLOCK + 2 * MARGIN
        asked = _cut(query, BLOCK, 0).expand(batch, -1, -1, -1)  # (B, blocks, 16, K)
        offered = _cut(keys, window, MARGIN)  # (B, blocks, window ** 2, K)
        content = _cut(_with_ones(mask, keys.dtype), window, MARGIN)
        distances, outside = _window(height, width, query.device)
        penalty = self.nearness.float().exp() * distances / width**2
        logs = (asked @ offered.transpose(2, 3)).float() - 1
        logs = logs * self.sharpness[1].float().exp() - penalty + outside
        read = logs.clamp(min=OUTSIDE).exp().to(content.dtype) @ content  # (B, blocks, 16, 5)
        blocks = read.permute(0, 3, 2, 1).flatten(1, 2)
        return _mean(F.fold(blocks, (height, width), BLOCK, stride=BLOCK))


def _map(tokens: Tensor, rows: int) -> Tensor:
    """Tokens (B, n, c) as a map (B, c, h, w)."""
    batch, cells, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, channels, rows, cells // rows)


def _with_ones(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The map with a channel of ones, which sums weights along with what they weigh."""
    return torch.cat((mask, torch.ones_like(mask[:, :1])), dim=1).to(dtype)


def _mean(sums: Tensor) -> _Carried:
    """Weighted sums (B, 5, 2h, 2w), the last of ones, as means."""
    weight = sums[:, -1:]
    return _Carried(sums[:, :-1] / (weight + FAINTEST), weight)


def _cut(x: Tensor, window: int, margin: int) -> Tensor:
    """Cuts a map (B, c, H, W) into windows around its blocks: (B, blocks, window ** 2, c)."""
    padded = F.pad(x, (margin, margin, margin, margin))
    windows = padded.unfold(2, window, BLOCK).unfold(3, window, BLOCK)  # (B, c, rows, columns, y, x)
    return windows.permute(0, 2, 3, 4, 5, 1).flatten(3, 4).flatten(1, 2)


@lru_cache(maxsize=8)
def _window(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Squared distances (16, window ** 2) in cells, and `OUTSIDE` (blocks, 1, window ** 2) beyond edges."""
    with torch.inference_mode(False):
        inner = torch.arange(BLOCK, dtype=torch.float32)
        outer = torch.arange(BLOCK + 2 * MARGIN, dtype=torch.float32) - MARGIN
        squares = (inner[:, None] - outer) ** 2
        distances = squares[:, None, :, None] + squares[None, :, None, :]
        inside = _cut(torch.ones(1, 1, height, width), BLOCK + 2 * MARGIN, MARGIN)[0, :, :, 0]
        outside = (1 - inside)[:, None] * OUTSIDE
        return distances.flatten(2).flatten(0, 1).to(device), outside.to(device)
