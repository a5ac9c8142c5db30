"""Where a ring begins and which way it runs, after the ring of the frame before."""

import numpy as np

from keepsight.shapes.filling import RingArray
from keepsight.shapes.outline import area_of

__all__ = ["begun_at_top", "begun_like"]

SAMPLES = 1024  # points at equal distances along a ring


def begun_at_top(ring: RingArray) -> RingArray:
    """The ring, begun at its topmost vertex, the leftmost of several."""
    return np.roll(ring, -int(np.lexsort((ring[:, 0], ring[:, 1]))[0]), axis=0)


def begun_like(ring: RingArray, previous: RingArray) -> RingArray:
    """The ring, running and begun as the previous one.

    Of all beginnings it takes the one that leaves points at equal shares of the two lengths closest
    together (least squares; where the object moved to as a whole makes no difference). That is how CVAT
    matches two keyframes' points, so what it draws between them moves as little as can be.

    Args:
        ring: (N, 2) vertices about a pixel apart.
        previous: (M, 2) the frame before, any vertices.
    """
    if area_of(ring) * area_of(previous) < 0:
        ring = ring[::-1]
    # A staircase of pixel edges is longer than the slope it stands for, so lengths are taken on a smooth one.
    smooth = (np.roll(ring, 1, axis=0) + 2 * ring + np.roll(ring, -1, axis=0)) / 4
    now, share = _sampled(smooth)
    before, _ = _sampled(previous)
    likeness = np.fft.ifft(np.fft.fft(now) * np.fft.fft(before).conj()).real
    begin = np.argmax(likeness) / SAMPLES
    away = abs(share - begin)
    return np.roll(ring, -int(np.argmin(np.minimum(away, 1 - away))), axis=0)


def _sampled(ring: RingArray) -> tuple[np.ndarray[tuple[int], np.dtype[np.complex128]], RingArray]:
    """Points x + iy at equal distances, and each vertex's share of the length, 0..1."""
    closed = np.concatenate([ring, ring[:1]])
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.arange(SAMPLES) / SAMPLES * length[-1]
    x, y = (np.interp(at, length, closed[:, axis]) for axis in (0, 1))
    share: RingArray = length[:-1] / length[-1]
    return x + 1j * y, share
