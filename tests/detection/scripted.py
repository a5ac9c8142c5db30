"""A detector that finds what it is told to."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
import pytest

from keepsight.detection import Detection
from keepsight.types import ImageArray
from tests.detection.shapes import Mask

Found = tuple[str, Mask] | tuple[str, Mask, float]


class ScriptedDetector:
    """Answers with what a function says of the image; the surest first, as detectors do."""

    labels: Mapping[int, str] = {0: "cat", 1: "dog", 2: "person"}

    def __init__(self, finds: Callable[[ImageArray], list[Found]]) -> None:
        self._finds = finds
        self.looked = 0

    def detect(self, image: ImageArray) -> list[Detection]:
        self.looked += 1
        numbers = {label: number for number, label in self.labels.items()}
        found = [
            Detection(entry[1], entry[2] if len(entry) == 3 else 0.9, numbers[entry[0]], entry[0])
            for entry in self._finds(image)
        ]
        return sorted(found, key=lambda detection: -detection.score)


def need_ultralytics() -> None:
    """Skips where the extra is missing; without a plain import, which does what is to be kept out."""
    if find_spec("ultralytics") is None:
        pytest.skip("needs keepsight[detect]")


def rectangle(x1: int, y1: int, x2: int, y2: int, size: tuple[int, int] = (40, 60)) -> Mask:
    """A mask of `size` (H, W) with one rectangle in it."""
    mask = np.zeros(size, np.bool_)
    mask[y1:y2, x1:x2] = True
    return mask
