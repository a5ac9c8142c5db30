"""Prompts as people give them, drawn from true masks."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from keepsight.nn.io import PromptBatch

__all__ = ["box_prompt", "click_prompt", "correction_prompt"]

POSITIVE, NEGATIVE, TOP_LEFT, BOTTOM_RIGHT = 1, 0, 2, 3
CARELESS = 0.05  # standard deviation of a box corner, in units of the box's side


def batch_of(points: list[NDArray[np.float64]], labels: list[list[int]], device: torch.device) -> PromptBatch:
    return PromptBatch(
        torch.tensor(np.stack(points), dtype=torch.float32, device=device),
        torch.tensor(labels, dtype=torch.int32, device=device),
    )


def regions(truth: Tensor) -> NDArray[np.bool_]:
    """(B, 1, S, S) masks as (B, S, S)."""
    found: NDArray[np.bool_] = truth[:, 0].cpu().numpy() > 0.5
    return found


def box_prompt(random: np.random.Generator, truth: Tensor) -> PromptBatch:
    """Boxes around (B, 1, S, S) masks, half of them drawn carelessly."""
    size = truth.shape[-1]
    corners = []
    for mask in regions(truth):
        ys, xs = np.nonzero(mask)
        box = np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], float)
        if random.random() < 0.5:
            box += random.normal(size=(2, 2)) * CARELESS * (box[1] - box[0])
        corners.append(box.clip(0, size))
    return batch_of(corners, [[TOP_LEFT, BOTTOM_RIGHT]] * len(corners), truth.device)


def inner_points(random: np.random.Generator, mask: NDArray[np.bool_], count: int) -> NDArray[np.float64]:
    """Points of a mask; the first of many draws that lies deep inside is preferred."""
    import cv2

    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    ys, xs = np.nonzero(depth >= random.uniform(0.1, 1.0) * depth.max())
    chosen = random.integers(0, len(xs), count)
    return np.stack([xs[chosen], ys[chosen]], axis=1).astype(np.float64)


def click_prompt(random: np.random.Generator, truth: Tensor, clicks: int) -> PromptBatch:
    """Clicks on (B, 1, S, S) masks."""
    masks = regions(truth)
    points = [inner_points(random, mask, clicks) for mask in masks]
    return batch_of(points, [[POSITIVE] * clicks] * len(masks), truth.device)


def correction_prompt(
    random: np.random.Generator, earlier: PromptBatch, logits: Tensor, truth: Tensor
) -> PromptBatch:
    """Adds a click inside each answer's largest kind of error; the answer itself is shown again.

    Args:
        random: source of chance.
        earlier: prompts already given.
        logits: (B, 1, 4h, 4w), the answer to be corrected.
        truth: (B, 1, S, S).
    """
    size = truth.shape[-1]
    answer = torch.nn.functional.interpolate(logits.detach(), size=(size, size), mode="bilinear")[:, 0] > 0
    points, labels = [], []
    for found, wanted in zip(answer.cpu().numpy(), regions(truth), strict=True):
        missed, excess = wanted & ~found, found & ~wanted
        label = POSITIVE if missed.sum() >= excess.sum() else NEGATIVE
        errors = missed if label == POSITIVE else excess
        if not errors.any():
            label = POSITIVE if wanted.any() else NEGATIVE
            errors = wanted if wanted.any() else ~found
        points.append(inner_points(random, errors, 1))
        labels.append([label])
    click = batch_of(points, labels, truth.device)
    return PromptBatch(
        torch.cat([earlier.points, click.points], dim=1),
        torch.cat([earlier.labels, click.labels], dim=1),
        logits.detach().clamp(-32, 32),
    )
