"""Processors written and read, here and by transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keepsight.compat.sam3_tracker_video.processor import Sam2VideoProcessor, Sam3TrackerVideoProcessor
from keepsight.errors import OutputError, UsageError, WeightsError
from keepsight.weights.catalogue import CATALOGUE, find_checkpoint

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")

FAMILIES = {"Sam2": Sam2VideoProcessor, "Sam3": Sam3TrackerVideoProcessor}
SETTINGS: dict[str, Any] = {
    "size": {"height": 64, "width": 64},
    "image_mean": [0.1, 0.2, 0.3],
    "image_std": [0.4, 0.5, 0.6],
    "do_rescale": True,
    "rescale_factor": 1 / 127,
    "resample": 3,
}
VIDEO_SETTINGS = {**SETTINGS, "image_mean": [0.7, 0.8, 0.9]}
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)


def their_class(family: str) -> Any:
    return getattr(transformers, {"Sam2": "Sam2VideoProcessor", "Sam3": "Sam3TrackerVideoProcessor"}[family])


def their_processor(family: str, **settings: Any) -> Any:
    images = getattr(transformers, f"{family}ImageProcessor")(**SETTINGS)
    return their_class(family)(images, transformers.Sam2VideoVideoProcessor(**VIDEO_SETTINGS), **settings)


def assert_alike(theirs: Any, ours: Any) -> None:
    assert (ours.target_size, ours.point_pad_value) == (theirs.target_size, theirs.point_pad_value)
    expected = theirs(images=PICTURE, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(
        ours(images=PICTURE, return_tensors="pt").pixel_values, expected, atol=1e-6, rtol=0
    )
    expected = theirs.init_video_session(PICTURE[None]).get_frame(0)
    got = ours.init_video_session(PICTURE[None]).get_frame(0)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [{}, {"target_size": 32, "point_pad_value": -3}])
def test_what_transformers_wrote_is_read(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    theirs = their_processor(family, **settings)
    theirs.save_pretrained(tmp_path)

    assert_alike(theirs, FAMILIES[family].from_pretrained(tmp_path))
    assert_alike(theirs, FAMILIES[family].from_pretrained(str(tmp_path / "processor_config.json")))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [{}, {"target_size": 32, "point_pad_value": -3}])
def test_transformers_reads_what_is_written(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    ours = FAMILIES[family](SETTINGS, VIDEO_SETTINGS, **settings)
    assert ours.save_pretrained(tmp_path / "new" / "folder") == [
        str(tmp_path / "new" / "folder" / "processor_config.json")
    ]
    theirs = their_class(family).from_pretrained(tmp_path / "new" / "folder")

    assert type(theirs.image_processor).__name__ == f"{family}ImageProcessor"
    assert_alike(theirs, ours)
    assert_alike(theirs, FAMILIES[family].from_pretrained(tmp_path / "new" / "folder"))
    again = transformers.AutoProcessor.from_pretrained(tmp_path / "new" / "folder")
    assert type(again) is their_class(family)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_is_written(family: str, tmp_path: Path) -> None:
    their_processor(family).save_pretrained(tmp_path / "theirs")
    FAMILIES[family].from_pretrained(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    theirs, ours = (
        json.loads((tmp_path / who / "processor_config.json").read_text()) for who in ("theirs", "ours")
    )
    theirs["video_processor"].pop("return_metadata")
    assert ours == theirs


@pytest.mark.parametrize("with_video", [True, False])
def test_files_from_before_transformers_5_are_read(with_video: bool, tmp_path: Path) -> None:
    transformers.Sam2ImageProcessor(**SETTINGS).save_pretrained(tmp_path)
    if with_video:
        transformers.Sam2VideoVideoProcessor(**VIDEO_SETTINGS).save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").write_text(json.dumps({"target_size": 48, "point_pad_value": -7}))

    ours = Sam2VideoProcessor.from_pretrained(tmp_path)
    assert (ours.target_size, ours.point_pad_value) == (48, -7)
    assert ours.image_processor.image_mean == (0.1, 0.2, 0.3)
    assert ours.video_processor.image_mean == ((0.7, 0.8, 0.9) if with_video else (0.1, 0.2, 0.3))
    if with_video:  # transformers looks for one without end
        assert_alike(their_class("Sam2").from_pretrained(tmp_path), ours)


@pytest.mark.parametrize(
    "name", [*CATALOGUE, "facebook/sam3", "facebook/sam2.1-hiera-large", "sam2.1_hiera_t"]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_the_catalogue_need_no_files(family: str, name: str, tmp_path: Path) -> None:
    config = find_checkpoint(name).config
    ours = FAMILIES[family].from_pretrained(name, cache_dir=tmp_path)
    for prepared in (ours.image_processor, ours.video_processor):
        assert prepared.size == {"height": config.image_size, "width": config.image_size}
        assert (prepared.image_mean, prepared.image_std) == (config.mean, config.std)
    assert ours.target_size == config.image_size
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("family", "name"), [("Sam2", "sam2.1_hiera_tiny"), ("Sam3", "sam3")])
def test_the_catalogue_agrees_with_the_family(family: str, name: str) -> None:
    named, plain = FAMILIES[family].from_pretrained(name), FAMILIES[family]()
    assert named.image_processor == plain.image_processor
    assert named.video_processor == plain.video_processor


def test_settings_replace_what_is_stored(tmp_path: Path) -> None:
    their_processor("Sam3").save_pretrained(tmp_path)
    changed = Sam3TrackerVideoProcessor.from_pretrained(
        tmp_path, size={"height": 96, "width": 96}, do_normalize=False, point_pad_value=-2, use_fast=True
    )
    assert changed.image_processor.size == changed.video_processor.size == {"height": 96, "width": 96}
    # The original scales points to the stored target size all the same.
    assert changed.target_size == 96
    assert changed.point_pad_value == -2
    assert not changed.image_processor.do_normalize
    assert Sam3TrackerVideoProcessor.from_pretrained(tmp_path, target_size=40).target_size == 40


def test_repositories_come_from_the_hub(tmp_path: Path) -> None:
    # A cache as the hub's client keeps it.
    snapshot = tmp_path / "models--owner--name" / "snapshots" / ("0" * 40)
    their_processor("Sam2").save_pretrained(snapshot)
    (tmp_path / "models--owner--name" / "refs").mkdir()
    (tmp_path / "models--owner--name" / "refs" / "main").write_text("0" * 40)

    assert_alike(
        their_processor("Sam2"), Sam2VideoProcessor.from_pretrained("owner/name", cache_dir=tmp_path)
    )
    with pytest.raises(UsageError, match="revision"):
        Sam2VideoProcessor.from_pretrained("owner/name", cache_dir=tmp_path, revision="other")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "does not"),
        ({"config.json": "{}"}, "does not"),
        ({"processor_config.json": "{"}, "JSON"),
        ({"processor_config.json": "[]"}, "JSON object"),
        ({"preprocessor_config.json": "{"}, "JSON"),
    ],
)
def test_damaged_folders_are_refused(files: dict[str, str], match: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for kind in (WeightsError, OSError):
        with pytest.raises(kind, match=match):
            Sam3TrackerVideoProcessor.from_pretrained(tmp_path)
    if "[]" not in files.values():
        with pytest.raises(OSError):  # noqa: PT011, transformers' own
            their_class("Sam3").from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["/nowhere", "./nowhere", "nowhere", Path("no/where")])
def test_missing_names_are_refused(name: Any) -> None:
    for kind in (WeightsError, OSError):
        with pytest.raises(kind):
            Sam3TrackerVideoProcessor.from_pretrained(name)


def test_folders_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Sam3TrackerVideoProcessor().save_pretrained(tmp_path / "file")
    with pytest.raises(UsageError, match="push_to_hub"):
        Sam3TrackerVideoProcessor().save_pretrained(tmp_path, push_to_hub=True)
