"""Prompts drawn into the earlier mask that the mask decoder is shown.

SAM tells its decoder of clicks and boxes by tokens alone, and it takes millions of examples until those
point at the right pixels. A small network is told in pixels as well: a box marks its inside, a click the
place around it, on top of the earlier answer if there is one.
"""

import torch
from torch import Tensor

from keepsight.nn.io import PromptBatch

__all__ = ["BOX_LOGIT", "draw_prompts"]

NEGATIVE, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = 0, 1, 2, 3
BOX_LOGIT = 8.0  # inside; outside its negative
CLICK_LOGIT = 16.0  # at the very place of a click
CLICK_RADIUS = 0.03  # standard deviation of its surroundings, in sides of the input


def draw_prompts(prompts: PromptBatch, grid: tuple[int, int], image_size: int) -> PromptBatch:
    """Adds boxes and clicks to the mask logits of B objects; without any, they are left or made 0.

    Args:
        prompts: as given; points in pixels of the model input.
        grid: 4h and 4w, the size of mask logits.
        image_size: S, the side of the model input in pixels.

    Returns:
        The same prompts with `mask_logits` (B, 1, 4h, 4w).
    """
    height, width = grid
    points, labels = prompts.points.float() / image_size, prompts.labels
    rows = (torch.arange(height, device=points.device) + 0.5) / height
    columns = (torch.arange(width, device=points.device) + 0.5) / width
    away_x = columns - points[..., :1]  # (B, N, 4w)
    away_y = rows - points[..., 1:]  # (B, N, 4h)
    near_x, near_y = (torch.exp(-0.5 * (away / CLICK_RADIUS) ** 2) for away in (away_x, away_y))
    sign = (labels == POSITIVE).float() - (labels == NEGATIVE).float()
    drawn = CLICK_LOGIT * torch.einsum("bn,bny,bnx->byx", sign, near_y, near_x)
    boxed = (labels == TOP_LEFT).any(dim=1)[:, None, None]
    inside_x, inside_y = (
        _after(away, labels == TOP_LEFT) & _after(-away, labels == BOTTOM_RIGHT) for away in (away_x, away_y)
    )
    inside = inside_y[:, :, None] & inside_x[:, None, :]
    drawn = drawn + torch.where(boxed, torch.where(inside, BOX_LOGIT, -BOX_LOGIT), 0.0)
    earlier = prompts.mask_logits
    return prompts._replace(mask_logits=drawn[:, None] + (0.0 if earlier is None else earlier))


def _after(away: Tensor, is_corner: Tensor) -> Tensor:
    """Which places (B, side) lie past the marked corner: (B, N, side) distances, (B, N) marks."""
    return ((away >= 0) & is_corner[..., None]).any(dim=1)
