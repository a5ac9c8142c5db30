"""Frames that were prepared for a network elsewhere, for interfaces that hand over pixel values."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from keepsight.types import Frame

__all__ = ["PreparedFrame"]


@dataclass(frozen=True, eq=False)
class PreparedFrame(Frame):
    """A frame of which only the network's input is known.

    To a session it is a frame of the input's size, S x S: prompts are in its pixels and masks come in them.
    `image` is black and takes no memory.

    Attributes:
        pixels: (1, 3, S, S) normalised as the network's `input_spec` says, on any device.
    """

    pixels: Tensor

    @classmethod
    def of(cls, index: int, pixels: Tensor) -> "PreparedFrame":
        """Frame `index` from (3, S, S) or (1, 3, S, S) pixel values."""
        size = pixels.shape[-1]
        black = np.broadcast_to(np.uint8(0), (size, size, 3))
        return cls(index, None, black, pixels.reshape(1, 3, size, size))
