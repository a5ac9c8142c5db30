"""The object's mask carried over from memory at stride 8, twice as fine as memory itself.

Memory attention works on cells of stride 16, which say what is where but not where it ends. Video object
segmentation networks that match pixels (FEELVOS, Voigtlaender et al. 2019) look the first frame up globally
and the latest one nearby; so does this read, and the mask it brings along has stride 4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.familiarity import FAINTEST, how_alike
from keepsight.nn.io import ImageFeatures
from keepsight.nn.layers.convolution import FusedConv
from keepsight.nn.layers.derived import Derived
from keepsight.nn.matching import at_a_time, coarse, in_parts, shared, with_ones

__all__ = ["FineRead"]

SHARPNESS = 2.7  # log of the factor of cosines, before training
NEARNESS = 6.0  # log of the near read's penalty per squared frame side, before training
BAND = 4  # rows of cells that are looked up together nearby
MARGIN = 8  # how many rows above and below a band count as nearby
# A bell ends at 1e-10: products with denormal numbers take twenty times as long.
STEEPEST = 23.0


class FineRead(nn.Module):
    """Remembers a key of every stride-8 cell and carries masks over to where a frame looks alike.

    Args:
        width: C, the width of the image embedding.
        key_width: channels K of a key.
    """

    CHANNELS = 4  # that `read` returns

    def __init__(self, width: int, key_width: int) -> None:
        super().__init__()
        self.middle_key = FusedConv(width // 4, key_width, 1)
        self.coarse_key = nn.Conv2d(width, key_width, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor([SHARPNESS, SHARPNESS]))
        self.nearness = nn.Parameter(torch.tensor(NEARNESS))
        self._near = Derived[Tensor]()

    def keys(self, features: ImageFeatures) -> Tensor:
        """Unit keys of a frame, (1 or B, 2h, 2w, K); those that it brings along, if it does."""
        if features.fine_keys is not None:
            return features.fine_keys
        below = F.interpolate(self.coarse_key(features.embedding), scale_factor=2.0)
        keys = self.middle_key(features.middle, below)
        return F.normalize(keys.permute(0, 2, 3, 1).contiguous(), dim=-1)

    def remember(self, features: ImageFeatures) -> Tensor:
        """Unit keys of a frame, `coarse`, those of a cell's 2 x 2 parts side by side: (1 or B, n, 4 K)."""
        keys = coarse(self.keys(features)).permute(0, 3, 1, 2)
        return F.pixel_unshuffle(keys, 2).flatten(2).transpose(1, 2)

    def read(self, features: ImageFeatures, remembered: Tensor, evidence: Tensor) -> Tensor:
        """Carries the masks of the first and the last remembered frame over to a frame.

        Args:
            features: the frame.
            remembered: (B, F, n, 4 K) from `remember`; the first of the prompted frame that is closest in
                time, the last the latest.
            evidence: (B, F, n, 16) mask probabilities of the cells' 4 x 4 parts.

        Returns:
            (B, 4, 4h, 4w): the mask of the first frame, looked up everywhere, and of the last, looked up
            nearby, probabilities 0..1; then `how_alike` the places were that each came from.
        """
        grid = (features.embedding.shape[2], features.embedding.shape[3])
        query = self.keys(features)
        first, last = (
            (
                _keys_of(shared(remembered[:, i], query), grid).to(query.dtype),
                _content_of(evidence[:, i], grid).to(query.dtype),
            )
            for i in (0, -1)
        )
        sums = torch.stack((self._everywhere(query, *first), self._nearby(query, *last)), dim=1).float()
        weight = sums[:, :, -1]  # (B, 2, 2h, 2w)
        masks = (sums[:, :, :-1] / (weight[:, :, None] + FAINTEST)).flatten(1, 2)
        told = F.interpolate(how_alike(weight), scale_factor=2.0)
        return torch.cat((F.pixel_shuffle(masks, 2), told), dim=1)

    def _asked(self, query: Tensor, which: int) -> Tensor:
        """Queries whose product with keys and a 1 is the log likeness, at most 0.

        The product subtracts the largest cosine itself: it sums in float32 whatever its type.
        """
        sharpness = self.sharpness[which].float().exp().to(query.dtype)
        return torch.cat((query, -torch.ones_like(query[..., :1])), dim=-1) * sharpness

    def _everywhere(self, query: Tensor, keys: Tensor, content: Tensor) -> Tensor:
        """Sums of content (B, 5, 2h, 2w) by the likeness of its keys to every query: (B, 5, 2h, 2w).

        Keys of all objects, (1, 2h, 2w, K), meet the content of all as one. Likenesses stand in a column per
        query: few rows times many columns is the product that takes least time.
        """
        asked, offered = self._asked(query, 0).flatten(1, 2), with_ones(keys).flatten(1, 2)
        told = content.reshape(len(keys), -1, offered.shape[1])
        parts = [told @ (offered @ part.mT).exp_() for part in in_parts(asked, offered)]
        return torch.cat(parts, dim=2).view(content.shape)

    def _nearby(self, query: Tensor, keys: Tensor, content: Tensor) -> Tensor:
        """The same, of content that lies close to the query's own place.

        A band of queries looks at the window of rows around it; beyond the edges there is nothing.
        """
        height, width = query.shape[1:3]
        window, step = (BAND + 2 * MARGIN) * width, BAND * width
        missing = -height % BAND
        above, below = MARGIN, MARGIN + missing
        asked = F.pad(self._asked(query, 1), (0, 0, 0, 0, 0, missing)).flatten(1, 2)
        asked = asked.view(len(query), -1, step, asked.shape[2])
        offered = F.pad(with_ones(keys), (0, 0, 0, 0, above, below)).flatten(1, 2).unfold(1, window, step)
        told = F.pad(content.reshape(len(keys), -1, height, width), (0, 0, above, below)).flatten(2)
        told = told.unfold(2, window, step).transpose(1, 2)
        near = self._near.get(
            (self.nearness,), (height, width, query.dtype), lambda: self._nearness_of(height, width, query)
        )
        few = max(1, at_a_time(query.device) // near.numel())
        bands = (torch.split(x, few, dim=1) for x in (asked, offered, told))
        sums = [t @ ((k.mT @ q.mT).exp_() * near) for q, k, t in zip(*bands, strict=True)]
        return torch.cat(sums, dim=1).transpose(1, 2).flatten(2)[..., : height * width].view(content.shape)

    def _nearness_of(self, height: int, width: int, like: Tensor) -> Tensor:
        """How much the places of a window count for those of its band: (window, band)."""
        rows, columns = torch.arange(BAND + 2 * MARGIN) - MARGIN, torch.arange(width)
        down = self._bell((rows[:, None] - torch.arange(BAND)) / height, like)
        across = self._bell((columns[:, None] - columns) / width, like)
        return (down[:, None, :, None] * across[:, None]).flatten(2).flatten(0, 1)

    def _bell(self, distances: Tensor, like: Tensor) -> Tensor:
        """Weights of places by how far they are along an axis, in sides of the frame."""
        penalty = self.nearness.float().exp() * distances.to(like.device).square()
        return (-penalty.clamp(max=STEEPEST)).exp().to(like.dtype)


def _keys_of(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Keys of memory tokens (B, n, 4 K) cell by cell, (B, 2h, 2w, K)."""
    parts = tokens.reshape(len(tokens), *grid, -1, 2, 2)
    return parts.permute(0, 1, 4, 2, 5, 3).flatten(3, 4).flatten(1, 2)


def _content_of(evidence: Tensor, grid: tuple[int, int]) -> Tensor:
    """Masks (B, n, 16) as what is summed up: the cells' 2 x 2 parts and a 1, (B, 5, 2h, 2w)."""
    parts = evidence.reshape(len(evidence), *grid, 2, 2, 2, 2)
    cells = parts.permute(0, 4, 6, 1, 3, 2, 5).flatten(5).flatten(3, 4).flatten(1, 2)
    return torch.cat((cells, torch.ones_like(cells[:, :1])), dim=1)
