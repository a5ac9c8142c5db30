"""What one answer is worth: masks, predicted IoU and presence, each against the truth."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from keepsight.nn.io import MaskCandidates

__all__ = ["FrameLosses", "frame_losses", "overlap"]

HARDEST = 4  # the loss looks at one in so many pixels, the worst
OTHERS = 0.3  # weight of the candidates that were not the best
LOSS_SCALE = 2  # logits are enlarged by this before they are compared


class FrameLosses(NamedTuple):
    """Scalars to be added up, and one to be watched."""

    cross_entropy: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor
    overlap: Tensor  # mean IoU of the candidate the network prefers, where the object is present

    @property
    def total(self) -> Tensor:
        """The weighted sum that is minimised."""
        return self.cross_entropy + self.dice + 0.5 * self.iou + self.presence


def overlap(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU of (B, M, H, W) logits with (B, 1, H, W) truth of 0 and 1: (B, M), 1 where both are empty."""
    found = logits > 0
    wanted = truth > 0.5
    common = (found & wanted).sum((2, 3)).float()
    union = (found | wanted).sum((2, 3)).float()
    return torch.where(union > 0, common / union.clamp(min=1), 1.0)


def frame_losses(candidates: MaskCandidates, truth: Tensor) -> FrameLosses:
    """Compares M candidates of B objects with their true masks.

    Args:
        candidates: ungated, see `MaskCandidates`.
        truth: (B, 1, S, S) of 0 and 1.
    """
    size = [side * LOSS_SCALE for side in candidates.logits.shape[2:]]
    logits = F.interpolate(candidates.logits, size=size, mode="bilinear", align_corners=False)
    target = F.interpolate(truth, size=size, mode="area")
    visible = truth.flatten(1).any(dim=1, keepdim=True).float()  # (B, 1)
    count = visible.sum().clamp(min=1)

    pixels = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none").flatten(2)
    worst = pixels.topk(pixels.shape[2] // HARDEST, dim=2, sorted=False).values.mean(dim=2)
    probabilities = logits.sigmoid()
    common = (probabilities * target).sum((2, 3))
    dice = 1 - (2 * common + 1) / (probabilities.sum((2, 3)) + target.sum((2, 3)) + 1)

    best = (worst + dice).argmin(dim=1, keepdim=True).detach()
    with torch.no_grad():
        true_ious = overlap(logits, target)
    preferred = true_ious.gather(1, candidates.ious.argmax(dim=1, keepdim=True))

    def blend(values: Tensor) -> Tensor:
        """The best candidate and, so that none stays blind, some of the mean."""
        each = (1 - OTHERS) * values.gather(1, best) + OTHERS * values.mean(dim=1, keepdim=True)
        return (each * visible).sum() / count

    return FrameLosses(
        cross_entropy=blend(worst),
        dice=blend(dice),
        iou=((candidates.ious - true_ious).abs().mean(dim=1, keepdim=True) * visible).sum() / count,
        presence=F.binary_cross_entropy_with_logits(candidates.presence, visible),
        overlap=(preferred * visible).sum() / count,
    )
