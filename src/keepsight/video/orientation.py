"""Turning decoded pictures upright: the display matrix of video files."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from keepsight.types import ImageArray

__all__ = ["Orientation"]


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways a picture may lie: transposed or not, then mirrored along either axis."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Orientation:
        """Read a display matrix: nine native 32-bit integers a b u / c d v / x y w, row by row.

        The matrix sends a stored pixel (p, q), q down, to (a p + c q, b p + d q) on the screen
        (ISO/IEC 14496-12, track header; libavutil/display.h). Angles between quarter turns become the
        nearest quarter turn. A matrix that is not one leaves the picture as stored.
        """
        if len(matrix) != 36:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(flip_x=a < 0, flip_y=d < 0)

    def apply(self, image: ImageArray) -> ImageArray:
        """The upright picture, contiguous, (H, W, 3) or (W, H, 3) uint8 from `image` of (H, W, 3)."""
        upright = image.transpose(1, 0, 2) if self.transpose else image
        upright = upright[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return np.ascontiguousarray(upright)
