"""A mask in little memory, for whole sequences that wait to be scored."""

import zlib
from typing import NamedTuple

import numpy as np

from keepsight.types import BoolArray, FloatArray

__all__ = ["PackedMask"]

QUICK = 1  # zlib's level; masks compress well at any


class PackedMask(NamedTuple):
    """A mask as compressed bits; about a kilobyte for a DAVIS frame.

    Attributes:
        height: pixels.
        width: pixels.
        bits: eight pixels to a byte, compressed.
        strengths: the logits of the mask's own pixels as float16, compressed; None where not asked for.
    """

    height: int
    width: int
    bits: bytes
    strengths: bytes | None = None

    @classmethod
    def of(cls, mask: BoolArray, logits: FloatArray | None = None) -> "PackedMask":
        """Packs a mask.

        Args:
            mask: (H, W) bool.
            logits: (H, W); kept, to three digits, where the mask is.
        """
        bits = zlib.compress(np.packbits(mask).tobytes(), QUICK)
        strengths = (
            None if logits is None else zlib.compress(logits[mask].astype(np.float16).tobytes(), QUICK)
        )
        return cls(mask.shape[0], mask.shape[1], bits, strengths)

    def unpacked(self) -> BoolArray:
        """The (H, W) bool array."""
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        flat = np.unpackbits(bits, count=self.height * self.width)
        return flat.reshape(self.height, self.width).astype(np.bool_)

    def logits(self) -> FloatArray | None:
        """(H, W) float32, minus infinity outside the mask; None if they were not packed."""
        if self.strengths is None:
            return None
        logits = np.full((self.height, self.width), -np.inf, dtype=np.float32)
        logits[self.unpacked()] = np.frombuffer(zlib.decompress(self.strengths), np.float16)
        return logits
