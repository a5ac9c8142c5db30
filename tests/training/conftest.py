"""Pictures that clips are made of in these tests."""

import cv2
import numpy as np
import pytest

from training.sources import Photo, Sources


@pytest.fixture(scope="package")
def sources() -> Sources:
    random = np.random.default_rng(0)
    photos = []
    for _ in range(3):
        image = random.integers(0, 255, (80, 60, 3), dtype=np.uint8)
        region = np.zeros((80, 60), np.uint8)
        cv2.ellipse(region, (30, 40), (15, 25), 0, 0, 360, (255,), -1)
        photos.append(Photo(cv2.blur(image, (5, 5)).astype(np.uint8), (region,)))
    frames = [np.roll(photos[0].image, 2 * i, axis=1) for i in range(20)]
    return Sources(photos, [photos[1].image], [frames])
