"""The failure picture: the worst frame is found, and every clip has its tile."""

import numpy as np

from benchmarks.failures import COLUMNS, TILE, Failure, contact_sheet, worst_frame
from tests.toy import ToyNetwork


def test_the_worst_of_the_tracked_frames_is_kept() -> None:
    failure = worst_frame(ToyNetwork(), "scale", count=4)
    assert failure.clip == "scale"
    assert 1 <= failure.frame <= 3
    assert 0 <= failure.iou <= 1
    assert failure.image.std() > 1


def test_every_clip_has_a_tile() -> None:
    pictures = [np.full((36, 64, 3), 40 * (i + 1), np.uint8) for i in range(4)]
    sheet = contact_sheet([Failure(f"clip {i}", i, 0.5, picture) for i, picture in enumerate(pictures)])
    assert sheet.shape == (2 * TILE[1], COLUMNS * TILE[0], 3)
    assert sheet[TILE[1] // 2, TILE[0] // 2].tolist() == [40, 40, 40]
    assert sheet[TILE[1] + TILE[1] // 2, TILE[0] // 2].tolist() == [160, 160, 160]
    assert not sheet[-10, -10].any()
