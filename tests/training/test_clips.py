"""Clips: reproducible, within their shapes, showing the object first, moving it, hiding it now and then."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.clips import LARGEST_PROMPT, SMALLEST_PROMPT, make_clip
from training.sources import (
    Photo,
    Sources,
    blob_mask,
    clothing_regions,
    cut_out,
    load_sources,
    polygon_regions,
)

SIZE = 64


@pytest.fixture(scope="module")
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


def test_a_clip_is_the_same_every_time_and_another_for_another_number(sources: Sources) -> None:
    first, again, other = (make_clip(sources, 3, index, 4, SIZE) for index in (5, 5, 6))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert not np.array_equal(first.frames, other.frames)


def test_many_clips_keep_their_promises(sources: Sources) -> None:
    clips = [make_clip(sources, 0, index, 5, SIZE) for index in range(24)]
    for clip in clips:
        assert clip.frames.shape == (5, SIZE, SIZE, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.masks.shape == (5, SIZE, SIZE)
        assert set(np.unique(clip.masks)) <= {0, 1}
        assert SMALLEST_PROMPT < clip.masks[0].mean() < LARGEST_PROMPT
    moved = [np.logical_xor(c.masks[0], c.masks[-1]).mean() > 0 for c in clips]
    assert np.mean(moved) > 0.9
    absent = [not c.masks[t].any() for c in clips for t in range(5)]
    assert 0 < np.mean(absent) < 0.3


def test_clips_without_anything_to_see_are_refused(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.clips.SMALLEST_PROMPT", 0.99)
    with pytest.raises(RuntimeError, match="Clip 7 of seed 0 shows no object"):
        make_clip(sources, 0, 7, 2, SIZE)


def test_regions_of_labels_and_polygons() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[2:8, 2:8] = 5
    labels[4:6, 2:8] = 9
    person, *parts = clothing_regions(labels)
    assert (person > 0).sum() == 36
    assert sorted((part > 0).sum() for part in parts) == [12, 24]
    half, *none = polygon_regions("0 0 0 0.5 0 0.5 1 0 1\n1 0 0 0.01 0 0.01 0.01\n", (20, 40))
    assert none == []
    assert 0.45 < (half > 0).mean() < 0.56


def test_a_cutout_holds_the_whole_object() -> None:
    region = np.zeros((30, 30), np.uint8)
    region[0:9, 20:30] = 255
    cutout = cut_out(np.zeros((30, 30, 3), np.uint8), region)
    assert (cutout.alpha > 0).sum() == 90
    assert cutout.image.shape[:2] == cutout.alpha.shape == (11, 12)


def test_blobs_have_an_area() -> None:
    random = np.random.default_rng(0)
    areas = [(blob_mask(random, 64) > 0).mean() for _ in range(20)]
    assert min(areas) > 0.02
    assert max(areas) < 0.9


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="pass --data"):
        load_sources(tmp_path)


def test_pictures_are_read_from_their_folders(tmp_path: Path) -> None:
    for folder in ("clothing/images", "clothing/labels", "cats/images", "cats/polygons", "photos", "clips"):
        (tmp_path / folder).mkdir(parents=True)
    picture = np.full((40, 30, 3), (10, 20, 200), np.uint8)
    for name in ("clothing/images/0001.jpg", "cats/images/0101.jpg", "photos/1005.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    labels = np.zeros((40, 30), np.uint8)
    labels[10:30, 5:25] = 7
    cv2.imwrite(str(tmp_path / "clothing/labels/0001.png"), labels)
    (tmp_path / "cats/polygons/0101.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n0 0.1 0.1 0.1 0.9 0.9 0.9\n")
    sources = load_sources(tmp_path)
    assert [len(photo.regions) for photo in sources.photos] == [2, 2]
    assert sources.photos[0].image[0, 0, 0] > 150  # red first, unlike OpenCV
    assert len(sources.backgrounds) == 1
    assert list(sources.clips) == []
