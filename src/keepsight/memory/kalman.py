"""Where boxes are going: a Kalman filter of constant velocity over any number of boxes at once.

The filter of DeepSORT (Wojke et al. 2017) and ByteTrack: state (centre x, centre y, aspect w/h, height and
their velocities), uncertainties proportional to the height. Pure functions; the leading axes of all arrays
are a batch, and nothing is changed in place.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Motion", "box_overlaps", "expected_boxes", "initiate", "predict", "update"]

FloatArray = npt.NDArray[np.float64]

POSITION = 1 / 20  # standard deviations, in heights
VELOCITY = 1 / 160
ASPECT, ASPECT_VELOCITY, ASPECT_MEASURED = 1e-2, 1e-5, 1e-1
MEASURED = 4  # the first half of the state

TRANSITION = np.eye(8) + np.eye(8, k=MEASURED)


class Motion(NamedTuple):
    """What is known of N boxes' motion."""

    mean: FloatArray  # (..., 8)
    covariance: FloatArray  # (..., 8, 8)


def initiate(boxes: FloatArray) -> Motion:
    """Starts from boxes (..., 4) of x1, y1, x2, y2 in any one unit, at rest and quite unsure of it."""
    measured = _measured(boxes)
    mean = np.concatenate((measured, np.zeros_like(measured)), axis=-1)
    height = measured[..., 3]
    position, velocity = 2 * POSITION * height, 10 * VELOCITY * height
    return Motion(mean, _diagonal(_deviations(position, ASPECT), _deviations(velocity, ASPECT_VELOCITY)))


def predict(motion: Motion) -> Motion:
    """One frame on, whatever was seen."""
    height = motion.mean[..., 3]
    noise = _diagonal(_deviations(POSITION * height, ASPECT), _deviations(VELOCITY * height, ASPECT_VELOCITY))
    mean = motion.mean @ TRANSITION.T
    return Motion(mean, TRANSITION @ motion.covariance @ TRANSITION.T + noise)


def update(motion: Motion, boxes: FloatArray) -> Motion:
    """Corrects a prediction by boxes (..., 4) that were seen."""
    noise = _diagonal(_deviations(POSITION * motion.mean[..., 3], ASPECT_MEASURED))
    shared = motion.covariance[..., :, :MEASURED]  # P H'
    innovation = shared[..., :MEASURED, :] + noise
    gain = np.swapaxes(np.linalg.solve(innovation, np.swapaxes(shared, -1, -2)), -1, -2)
    surprise = _measured(boxes) - motion.mean[..., :MEASURED]
    mean = motion.mean + (gain @ surprise[..., None])[..., 0]
    return Motion(mean, motion.covariance - gain @ innovation @ np.swapaxes(gain, -1, -2))


def expected_boxes(motion: Motion) -> FloatArray:
    """The boxes (..., 4) of x1, y1, x2, y2 that the mean describes."""
    x, y, aspect, height = np.moveaxis(motion.mean[..., :MEASURED], -1, 0)
    half_width, half_height = aspect * height / 2, height / 2
    return np.stack((x - half_width, y - half_height, x + half_width, y + half_height), axis=-1)


def box_overlaps(expected: FloatArray, found: FloatArray) -> FloatArray:
    """IoU of boxes (..., 4) with boxes (..., 4), broadcast; 0 for an empty mask's box, which is all zeros."""
    low = np.maximum(expected[..., :2], found[..., :2])
    high = np.minimum(expected[..., 2:], found[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    union = _area(expected) + _area(found) - shared
    counts = (union != 0) & found.any(axis=-1)
    overlaps: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=counts)
    return overlaps


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    return area


def _measured(boxes: FloatArray) -> FloatArray:
    """(..., 4) corners -> centre x, centre y, aspect, height; a flat box counts as one unit high."""
    low, high = boxes[..., :2], boxes[..., 2:]
    width, height = np.moveaxis(high - low, -1, 0)
    height = np.where(height == 0, 1.0, height)
    centre = (low + high) / 2
    return np.stack((centre[..., 0], centre[..., 1], width / height, height), axis=-1)


def _deviations(size: FloatArray, aspect: float) -> FloatArray:
    return np.stack((size, size, np.full_like(size, aspect), size), axis=-1)


def _diagonal(*deviations: FloatArray) -> FloatArray:
    variances = np.concatenate(deviations, axis=-1) ** 2
    return variances[..., None] * np.eye(variances.shape[-1])
