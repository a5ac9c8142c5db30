"""The validation curve: measured when due, logged, drawn; nothing where there are no clips."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from keepsight.nn.sam2 import Sam2
from tests.training.test_learning import SMALL
from training.validate import Validation, draw_curve


def davis_folder(root: Path) -> Path:
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        (root / kind / "one").mkdir(parents=True)
        for index in range(4):
            picture = np.zeros((48, 64), np.uint8)
            picture[10:30, 10 + 4 * index : 30 + 4 * index] = 255
            cv2.imwrite(str(root / kind / "one" / f"{index:05d}.{suffix}"), picture)
    return root


def test_a_measurement_is_due_logged_and_drawn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = tmp_path / "run"
    run.mkdir()
    watch = Validation(davis_folder(tmp_path / "davis"), run / "validation.jsonl", every=5, frames=3)
    assert not watch.is_due(4.0)
    assert watch.is_due(5.0)
    j = watch.measure(Sam2(SMALL).eval(), step=7, minutes=5.0)
    assert 0 <= j <= 1
    assert not watch.is_due(9.9)
    assert watch.is_due(10.0)
    line = json.loads((run / "validation.jsonl").read_text())
    assert line["step"] == 7
    assert line["one"] == line["j"] == round(j, 4)
    losses = {"cross_entropy": 0.5, "dice": 0.4, "iou": 0.1, "presence": 0.2, "seconds": 1.5}
    (run / "log.jsonl").write_text(f"{json.dumps(losses)}\n{json.dumps(losses)}\n")
    picture = cv2.imread(str(draw_curve(run)))
    assert picture is not None
    assert picture.std() > 5


def test_without_clips_nothing_is_ever_due(tmp_path: Path) -> None:
    assert not Validation(tmp_path / "no", tmp_path / "validation.jsonl", every=1).is_due(100.0)
