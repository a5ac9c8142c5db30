"""Meta's own package behind the interface, on a tiny random network, and against keepsight's engine on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepsight import tracking_loader as tl
from keepsight.errors import WeightsError
from keepsight.tracking_loader import meta
from keepsight.tracking_loader.memory import SessionTracker
from keepsight.tracking_loader.meta import MetaTracker, build_predictor
from tests.oracle import (
    float32_memory,
    meta_predictor,
    moving_texture,
    ours_like,
    tiny_config,
    tiny_overrides,
)
from tests.tracking_loader.test_loaders import check_shape, iou

pytest.importorskip("sam2", reason="needs Meta's sam2 package (rf-sam-2, in the test extra)")
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:sam2",
    "ignore::DeprecationWarning:sam2",
    "ignore:__array__ implementation doesn't accept:DeprecationWarning",
)

CONFIG = tl.TrackingConfig("sam2.1_hiera_tiny", framework=tl.TrackingFramework.SAM2, device="cpu")
FIRST, SECOND = np.zeros((90, 120), np.uint8), np.zeros((90, 120), np.uint8)
FIRST[27:63, 12:48] = 1
SECOND[50:80, 80:110] = 255


@pytest.fixture(scope="module")
def predictor() -> Any:
    return meta_predictor("sam2.1/sam2.1_hiera_t", tiny_overrides(), seed=4)


@pytest.fixture
def loader(predictor: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tl.TrackingModelLoader]:
    from keepsight.tracking_loader import memory

    monkeypatch.setattr(memory, "build_predictor", lambda config, device: predictor)
    made = tl.create_tracking_loader("sam2", CONFIG)
    made.load()
    with float32_memory():
        yield made


def frames(count: int = 6) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in moving_texture(count)]


def test_metas_package_gives_what_the_interface_promises(loader: tl.TrackingModelLoader) -> None:
    result = loader.track(frames(), [FIRST, SECOND], [3, -1])
    check_shape(result, [3, -1], (120, 90), 6)
    assert iou(result.frames[0].masks[0].mask, FIRST) > 0.8
    assert len({mask.confidence for frame in result.frames[1:] for mask in frame.masks}) > 5


def test_it_agrees_with_keepsights_engine_on_the_same_weights(
    loader: tl.TrackingModelLoader, predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ours_like(predictor, tiny_config())
    monkeypatch.setattr(tl.SAM2Loader, "build", lambda self, device: SessionTracker(network, "sam2"))
    ours = tl.create_tracking_loader("sam2", tl.TrackingConfig("any", device="cpu"))
    ours.load()
    theirs = loader.track(frames(), [FIRST, SECOND], [1, 2])
    for a, b in zip(ours.track(frames(), [FIRST, SECOND], [1, 2]).frames, theirs.frames, strict=True):
        assert a.occlusions == b.occlusions
        for c, d in zip(a.masks, b.masks, strict=True):
            # Theirs has seen the frames as JPEGs.
            assert iou(c.mask, d.mask) > 0.9 or not (c.mask.any() or d.mask.any())
            assert c.confidence == pytest.approx(d.confidence, abs=0.05)


def test_nothing_is_left_on_the_predictor_or_the_disk(
    loader: tl.TrackingModelLoader, predictor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loader.track(frames(2), [FIRST], [1])
    assert not predictor.sam_mask_decoder._forward_hooks
    assert list(tmp_path.iterdir()) == []


def test_without_metas_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install rf-sam-2"):
        tl.create_tracking_loader("sam2", CONFIG).load()


@pytest.mark.parametrize(
    ("model_id", "checkpoint", "yaml"),
    [
        ("sam2.1_hiera_tiny", "any.pt", "configs/sam2.1/sam2.1_hiera_t.yaml"),
        ("facebook/sam2-hiera-base-plus", "any.pt", "configs/sam2/sam2_hiera_b+.yaml"),
        ("mine", "sam2.1_hiera_large.pt", "configs/sam2.1/sam2.1_hiera_l.yaml"),
        ("{folder}/sam2_hiera_small.pt", None, "configs/sam2/sam2_hiera_s.yaml"),
    ],
)
def test_the_architecture_is_told_by_the_model_or_the_files_name(
    model_id: str, checkpoint: str | None, yaml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "sam2.build_sam.build_sam2_video_predictor", lambda name, path, **_: asked.append((name, path))
    )
    file = tmp_path / (checkpoint or "sam2_hiera_small.pt")
    file.write_bytes(b"x")
    config = tl.TrackingConfig(
        model_id.format(folder=tmp_path), checkpoint_path=None if checkpoint is None else str(file)
    )
    build_predictor(config, "cpu")
    assert asked == [(yaml, str(file))]


@pytest.mark.parametrize(
    ("model_id", "checkpoint", "says"),
    [
        ("pocket", None, "sam2.1_hiera_"),
        ("mine", "mine.pt", "sam2.1_hiera_"),
        ("sam2.1_hiera_tiny", "gone.pt", "gone.pt"),
    ],
)
def test_what_metas_package_cannot_run_is_refused(model_id: str, checkpoint: str | None, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        build_predictor(tl.TrackingConfig(model_id, checkpoint_path=checkpoint), "cpu")


@pytest.mark.slow
def test_a_checkpoint_of_metas_is_loaded(tmp_path: Path) -> None:
    """The real architecture with random weights: it is loaded, not run."""
    from sam2.build_sam import build_sam2_video_predictor

    torch.manual_seed(0)
    written = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    torch.save({"model": written.state_dict()}, tmp_path / "sam2.1_hiera_tiny.pt")
    config = tl.TrackingConfig(str(tmp_path / "sam2.1_hiera_tiny.pt"), tl.TrackingFramework.SAM2, "cpu")
    loader = tl.create_tracking_loader("sam2", config)
    loader.load()
    assert isinstance(loader, tl.SAM2Loader)
    assert isinstance(loader._tracker, MetaTracker)
    read = loader._tracker._predictor.state_dict()
    assert all((read[name] == value).all() for name, value in written.state_dict().items())


def test_a_damaged_checkpoint_is_a_runtime_error(tmp_path: Path) -> None:
    path = tmp_path / "sam2.1_hiera_tiny.pt"
    path.write_bytes(b"no checkpoint")
    config = tl.TrackingConfig(
        "sam2.1_hiera_tiny", tl.TrackingFramework.SAM2, "cpu", checkpoint_path=str(path)
    )
    with pytest.raises(RuntimeError, match="cannot load"):
        tl.create_tracking_loader("sam2", config).load()
