"""Tensors made of weights, kept until the weights change."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

__all__ = ["Derived"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Made(Generic[T]):
    """What was made, and of what."""

    key: Hashable
    weights: tuple[Tensor, ...]  # held, so that no others can come to lie at their places
    result: T


class Derived(Generic[T]):
    """A tensor made of weights, or several, made again only when the weights have changed.

    It holds nothing of any image, so a network that keeps one is still a function of its arguments. Copies
    of it begin empty: what was made may be of a kind that can be neither copied nor written.
    """

    def __init__(self) -> None:
        # One attribute, so that threads that share the network never see half of a change.
        self._made: _Made[T] | None = None

    def get(self, weights: tuple[Tensor, ...], detail: Hashable, make: Callable[[], T]) -> T:
        """What is made for these weights and whatever else it depends on; always made afresh in training."""
        if torch.is_grad_enabled() and any(w.requires_grad for w in weights):
            return make()
        key = (detail, *[(w.data_ptr(), _version(w), w.dtype) for w in weights])
        made = self._made
        if made is None or made.key != key:
            # Whoever asks next may do so without autocast.
            with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
                self._made = made = _Made(key, tuple(w.detach() for w in weights), make())
        return made.result

    def __getstate__(self) -> dict[str, Any]:
        return {"_made": None}


def _version(weight: Tensor) -> int:
    return 0 if weight.is_inference() else weight._version
