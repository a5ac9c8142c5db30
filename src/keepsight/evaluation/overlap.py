"""Overlap between tracked objects, settled the way a label image needs it."""

from collections.abc import Mapping

import numpy as np

from keepsight.types import BoolArray, ObjectResult

__all__ = ["without_overlap"]


def without_overlap(objects: Mapping[int, ObjectResult]) -> dict[int, BoolArray]:
    """Gives every pixel to one object at most, as benchmarks of several objects demand.

    Where masks overlap the larger logit wins; where a result came without logits its score stands for them.

    Args:
        objects: one frame's results by object id.

    Returns:
        (H, W) bool by object id, disjoint.
    """
    if len(objects) < 2:
        return {i: found.mask for i, found in objects.items()}
    with_logits = all(found.logits is not None for found in objects.values())
    shape = next(iter(objects.values())).mask.shape
    best = np.full(shape, -np.inf, dtype=np.float32)
    owner = np.zeros(shape, dtype=np.int64)
    for position, found in enumerate(objects.values(), 1):
        strength = found.logits if with_logits and found.logits is not None else np.float32(found.score)
        stronger = found.mask & (strength > best)
        owner[stronger] = position
        best = np.where(stronger, strength, best)
    return {i: owner == position for position, i in enumerate(objects, 1)}
