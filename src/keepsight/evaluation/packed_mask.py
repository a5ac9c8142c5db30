"""A mask in little memory, for whole sequences that wait to be scored."""

import zlib
from typing import NamedTuple

import numpy as np

from keepsight.types import BoolArray

__all__ = ["PackedMask"]


class PackedMask(NamedTuple):
    """A mask as compressed bits; about a kilobyte for a DAVIS frame.

    Attributes:
        height: pixels.
        width: pixels.
        bits: eight pixels to a byte, compressed.
    """

    height: int
    width: int
    bits: bytes

    @classmethod
    def of(cls, mask: BoolArray) -> "PackedMask":
        """Packs an (H, W) bool array."""
        return cls(mask.shape[0], mask.shape[1], zlib.compress(np.packbits(mask).tobytes(), 1))

    def unpacked(self) -> BoolArray:
        """The (H, W) bool array."""
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        flat = np.unpackbits(bits, count=self.height * self.width)
        return flat.reshape(self.height, self.width).astype(np.bool_)
