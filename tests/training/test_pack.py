"""Packing: the archive holds what training reads, smaller, and labels keep their values."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.pack import LONGEST, pack
from training.sources import load_sources


def test_what_is_packed_can_be_trained_on(tmp_path: Path) -> None:
    data, labels = tmp_path / "data", tmp_path / "labels"
    for folder in ("clothing/images", "clothing/labels", "photos"):
        (data / folder).mkdir(parents=True)
    random = np.random.default_rng(0)
    picture = cv2.blur(random.integers(0, 255, (800, 600, 3), dtype=np.uint8), (31, 31))
    regions = np.zeros((800, 600), np.uint8)
    regions[200:600, 100:400] = 57
    regions[300:400, 200:300] = 3
    cv2.imwrite(str(data / "clothing/images/0001.jpg"), picture)
    cv2.imwrite(str(data / "clothing/labels/0001.png"), regions)
    cv2.imwrite(str(data / "photos/1.jpg"), picture)
    (labels / "photos").mkdir(parents=True)
    (labels / "photos/1.json").write_text(json.dumps({"size": [800, 600], "objects": []}))
    size = pack(data, labels, tmp_path / "packed.zip")
    assert size < sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    with zipfile.ZipFile(tmp_path / "packed.zip") as archive:
        archive.extractall(tmp_path / "out")
    sources = load_sources(tmp_path / "out/data", tmp_path / "out/labels")
    (photo,) = sources.photos
    assert max(photo.image.shape) == LONGEST
    shares = [float(region.mean()) / 255 for region in photo.regions]
    assert shares == pytest.approx([0.25, 0.02, 0.23], abs=0.01)
    assert (tmp_path / "out/labels/photos/1.json").exists()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pass --data"):
        pack(tmp_path / "no", tmp_path, tmp_path / "packed.zip")
    assert not list(tmp_path.glob("packed*"))
