"""Objects that claim the same pixel, as SAM 2's predictor and its followers settle it."""

import torch
from torch import Tensor

__all__ = ["kept_apart"]

OVERLAP_LIMIT = -10.0  # the ceiling of all but the highest object's logits


def kept_apart(logits: Tensor) -> Tensor:
    """Mask logits (N, C, H, W) in which each pixel is left to the object with the highest.

    The others' logits there become -10 or stay lower; of one object nothing changes.
    """
    if len(logits) < 2:
        return logits
    rows = torch.arange(len(logits), device=logits.device).view(-1, 1, 1, 1)
    highest = rows == logits.argmax(dim=0, keepdim=True)
    return torch.where(highest, logits, logits.clamp(max=OVERLAP_LIMIT))
