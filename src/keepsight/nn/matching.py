"""A direct read of memory by likeness: which remembered cells look like this one, and were they the object?

SAM 2 has no such part. Space-time memory networks (Oh et al. 2019) and their descendants follow objects by
it; a small network with a frozen image encoder learns it far sooner than it learns memory attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from keepsight.nn.familiarity import Familiarity, shown_or_not
from keepsight.nn.io import ImageFeatures
from keepsight.nn.layers.derived import Derived

__all__ = ["MatchingConfig", "MatchingRead", "with_ones"]

MARKS = 2  # columns of `shown_or_not`
EVIDENCE_SIDE = 4  # the mask is remembered at this many sub-cells along each side of a memory cell
NEAR_SHARPNESS = 5.0  # exp of this is the near read's penalty per squared frame side, before training

# Likenesses computed at a time, for each object: what is summed up while it is still in a processor's cache
# takes a fifth of the time that it takes from memory.
AT_A_TIME = 600_000
AT_A_TIME_ELSEWHERE = 10_000_000  # a GPU would rather have few large tasks

STEPS = 128  # of the numbers that are remembered, which bfloat16 holds exactly

# Penalties stop at 1e-20: products with denormal numbers take twenty times as long.
STEEPEST = 46.0


@dataclass(frozen=True)
class MatchingConfig:
    """What a `MatchingRead` is built from."""

    key_width: int = 64
    temperature: float = 1 / 12  # of the cosines
    fine_width: int = 0  # channels of the keys of a `FineRead`; 0 for none
    attended: int = 0  # so many recent maps are left to memory attention, which is slower; 0 for all
    familiarity: int = 0  # hidden width of a `Familiarity`; 0 for none


@lru_cache(maxsize=8)
def squared_distances(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Squared distances between all cells of a grid whose sides have length 1: (n, n)."""
    with torch.inference_mode(False):
        rows = (torch.arange(height, dtype=torch.float32) + 0.5) / height
        columns = (torch.arange(width, dtype=torch.float32) + 0.5) / width
        y, x = (axis.flatten() for axis in torch.meshgrid(rows, columns, indexing="ij"))
        squares = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
        return squares.to(device, dtype)


def with_ones(x: Tensor) -> Tensor:
    """The tensor with a 1 more in every row."""
    return torch.cat((x, torch.ones_like(x[..., :1])), dim=-1)


def coarse(x: Tensor) -> Tensor:
    """Numbers from -1 to 1 as the nearest of the 128ths from -1 to 127/128, which fit a byte.

    The gradient passes as if they had not been rounded.
    """
    rounded = ((x.float() * STEPS).round().clamp(-STEPS, STEPS - 1) / STEPS).to(x.dtype)
    return x + (rounded - x).detach() if torch.is_grad_enabled() else rounded


def at_a_time(device: torch.device) -> int:
    """How many likenesses are computed at a time, for each object."""
    return AT_A_TIME if device.type == "cpu" else AT_A_TIME_ELSEWHERE


def in_parts(queries: Tensor, keys: Tensor) -> Sequence[Tensor]:
    """Queries (1, n, K) in parts of so many that their products with keys (B, m, K) are few at a time."""
    return torch.split(queries, max(1, at_a_time(queries.device) // keys.shape[1]), dim=1)


def shared(keys: Tensor, queries: Tensor) -> Tensor:
    """Keys (B, ...) of B objects, or those of one, (1, ...), where all are the same and get the same queries.

    Objects that were followed through the same frames do: what a frame looks like is no matter of the object.
    All likenesses are then computed once. (Training needs the gradient of each; a GPU would have to wait.)
    """
    one, others = keys[:1], keys[1:]
    if len(queries) > 1 or keys.device.type != "cpu" or torch.is_grad_enabled():
        return keys
    return one if all(torch.equal(one[0], other) for other in others) else keys


def side_by_side(pieces: Sequence[Tensor], keys: Tensor) -> Tensor:
    """Pieces (B, m, .) of content as what is summed up by the likeness to `shared` keys.

    One after the other in each row: (B, m, D), or (1, m, B D) where the keys are those of one object.
    """
    if len(pieces[0]) == len(keys):
        return torch.cat(tuple(pieces), dim=-1)
    return torch.cat([piece.transpose(0, 1) for piece in pieces], dim=-1).flatten(1)[None]


def apart(sums: Tensor, objects: int) -> Tensor:
    """Sums of content that lay `side_by_side`, (1 or B, n, ...), by object: (B, n, D)."""
    return sums if len(sums) == objects else sums.view(sums.shape[1], objects, -1).transpose(0, 1)


def _telling(evidence: Tensor, earlier: int) -> Tensor:
    """Which frames of (B, F, n, 16) are read, (B, F): those that show the object, the first, and `earlier`.

    Where it was absent for long, only absence would be remembered, and it would never be found again; but
    without any such frame, things like it that were in sight all the while would be taken for it.
    """
    shown = evidence.amax(dim=(2, 3)) > 0.5
    return shown.index_fill(1, torch.tensor((0, earlier), device=shown.device), True)


def _columns(values: Tensor, evidence: Tensor, earlier: int) -> list[Tensor]:
    """What likenesses weigh of (B, F, n, D) values and (B, F, n, 16) masks, in pieces (B, F n, .).

    Whether a cell was the object and whether it was not, MARKS columns for the mean over the frames that are
    `_telling` and as many for that over all, which nearby tell as well what was not the object; then values
    and mask and a 1, which sums up the weights, of the frames that are telling.
    """
    telling = _telling(evidence, earlier)[..., None, None].to(values.dtype)
    marks = shown_or_not(evidence)
    everywhere, nearby = marks * telling / telling.sum(dim=1, keepdim=True), marks / marks.shape[1]
    weight = telling.expand(*evidence.shape[:3], 1)
    return [x.flatten(1, 2) for x in (everywhere, nearby, telling * values, telling * evidence, weight)]


class MatchingRead(nn.Module):
    """Remembers a key and the mask of every cell, and reads them back by cosine likeness.

    Two reads share the keys: one over all of memory, one that prefers places nearby.

    Args:
        config: its numbers.
        width: C, the width of the image embedding.
        memory_width: width of the memory encoder's tokens, which are read along.
    """

    def __init__(self, config: MatchingConfig, width: int, memory_width: int) -> None:
        super().__init__()
        self.key_width = config.key_width
        self.attended = config.attended
        self.temperature = config.temperature
        self.key = nn.Linear(width, config.key_width)
        self.nearness = nn.Parameter(torch.tensor(NEAR_SHARPNESS))
        self._falloff = Derived[Tensor]()
        self.fuse = nn.Sequential(
            nn.Linear(2 * (memory_width + EVIDENCE_SIDE**2), width), nn.GELU(), nn.Linear(width, width)
        )
        self.familiarity = Familiarity(config.familiarity, width) if config.familiarity else None

    @property
    def extra_width(self) -> int:
        """Channels that `remember` adds to a memory token."""
        return self.key_width + EVIDENCE_SIDE**2

    def evidence(self, extra: Tensor) -> Tensor:
        """The mask probabilities in what `remember` kept: (..., 16) of (..., extra_width)."""
        return extra[..., self.key_width :]

    def keys(self, features: ImageFeatures) -> Tensor:
        """Unit keys of a frame's cells, (1 or B, n, key_width); those that it brings along, if it does."""
        if features.keys is not None:
            return features.keys
        return F.normalize(self.key(features.embedding.flatten(2).transpose(1, 2)), dim=-1)

    def remember(self, features: ImageFeatures, logits: Tensor) -> Tensor:
        """What is kept of a frame besides the memory encoder's tokens.

        Args:
            features: the frame; its keys are used, or else its embedding (1 or B, C, h, w).
            logits: (B, 1, 4h, 4w) mask logits of B objects.

        Returns:
            (B, n, extra_width): unit keys, then mask probabilities of the cell's 4 x 4 parts; all `coarse`.
        """
        evidence = F.pixel_unshuffle(logits.sigmoid(), EVIDENCE_SIDE).flatten(2).transpose(1, 2)
        keys = self.keys(features)
        return coarse(torch.cat((keys.expand(len(evidence), -1, -1), evidence.to(keys.dtype)), dim=-1))

    def read(
        self,
        features: ImageFeatures,
        extra: Tensor,
        values: Tensor,
        scales: Tensor | None = None,
        *,
        earlier: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Looks every cell of a frame up in the memory of B objects.

        Args:
            features: the frame; its keys are used, or else its embedding (1 or B, C, h, w).
            extra: (B, F, n, extra_width), from `remember`.
            values: (B, F, n, memory_width), the memory encoder's tokens of the same frames.
            scales: (B, F), factors of the frames' keys; None for 1.
            earlier: which of the F frames tells what was there already, the oldest of the tracked ones.

        Returns:
            (B, C, h, w), to be added to the embedding; and the masks that were read, of all of memory and
            of nearby, (B, 2, 4h, 4w) probabilities.
        """
        height, width = features.embedding.shape[2:]
        frames, tokens = extra.shape[1:3]
        keys, evidence = extra[..., : self.key_width], self.evidence(extra).to(values.dtype).contiguous()
        if scales is not None:
            keys = keys * scales[..., None, None].to(keys.dtype)
        columns = _columns(values, evidence, earlier)
        already = shown_or_not(evidence[:, earlier])
        # The product subtracts the largest cosine itself (it sums in float32 whatever its type): both
        # softmaxes share one exponential that cannot overflow, scaled keys exceeding 1 by little.
        asked = self.keys(features) / self.temperature
        asked = torch.cat((asked, torch.full_like(asked[..., :1], -1 / self.temperature)), dim=-1)
        offered = with_ones(shared(keys, asked).to(values.dtype)).flatten(1, 2)
        told, already = side_by_side(columns, offered), side_by_side([already], offered)
        falloff = self._falloff.get(
            (self.nearness,), (height, width, told.dtype), lambda: self._falloff_of(height, width, told)
        )
        parts = []
        for part, near in zip(in_parts(asked, offered), in_parts(falloff[None], offered), strict=True):
            likeness = (part @ offered.mT).exp_()
            by_frame = likeness.view(*likeness.shape[:2], frames, tokens)
            close = (by_frame * near[:, :, None]).flatten(2)
            before = close.view(by_frame.shape)[:, :, earlier] @ already
            parts.append((likeness @ told, close @ told, before))
        wide, near, before = (apart(torch.cat(read, dim=1), len(extra)) for read in zip(*parts, strict=True))
        means = [read[..., 2 * MARKS : -1] / read[..., -1:] for read in (wide, near)]
        out = self.fuse(torch.cat(means, dim=-1))
        if self.familiarity is not None:
            marks = wide[..., :MARKS], near[..., MARKS : 2 * MARKS], before
            out = out + self.familiarity(torch.cat(marks, dim=-1))
        masks = torch.cat([mean[..., -(EVIDENCE_SIDE**2) :] for mean in means], dim=-1)
        addition, grid = (x.transpose(1, 2).reshape(len(x), -1, height, width) for x in (out, masks))
        return addition, F.pixel_shuffle(grid, EVIDENCE_SIDE)

    def _falloff_of(self, height: int, width: int, like: Tensor) -> Tensor:
        """How much places count for the near read by their distance: (n, n)."""
        distances = squared_distances(height, width, like.device, torch.float32)
        return (-(self.nearness.float().exp() * distances).clamp(max=STEEPEST)).exp().to(like.dtype)
