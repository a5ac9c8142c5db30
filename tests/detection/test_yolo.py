"""The real network on random weights: what goes in, what comes out, and what does not happen besides."""

import getpass
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keepsight.detection import YoloDetector, borrowed
from keepsight.errors import KeepsightError, SourceError, UsageError, WeightsError
from keepsight.types import ImageArray
from tests.detection.shapes import Mask, Shape, iou, render

# Not importorskip: a plain import would bring ultralytics in with everything that is to be kept out.
pytestmark = pytest.mark.skipif(find_spec("ultralytics") is None, reason="needs keepsight[detect]")

NOISE = np.random.default_rng(0).integers(0, 255, (97, 211, 3), dtype=np.uint8)
GREEN = (0, 255, 0)


@pytest.fixture(scope="module")
def random_yolo() -> YoloDetector:
    torch.manual_seed(0)
    return YoloDetector("yolo11n-seg.yaml", device="cpu", confidence=0.0, image_size=160)


def test_random_weights_give_masks_at_frame_resolution(random_yolo: YoloDetector) -> None:
    found = random_yolo.detect(NOISE)
    assert found
    assert len(random_yolo.labels) == 80
    for detection in found:
        assert detection.mask.shape == NOISE.shape[:2]
        assert detection.mask.dtype == np.bool_
        assert detection.mask.any()
        assert 0 <= detection.score <= 1
        assert random_yolo.labels[detection.class_id] == detection.label
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True)


def test_a_threshold_that_nothing_reaches_gives_nothing() -> None:
    assert YoloDetector("yolo11n-seg.yaml", device="cpu", confidence=0.9, image_size=160).detect(NOISE) == []


def ideal(detector: YoloDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the network by one that answers perfectly: one instance, what is green in its input.

    Scaling and padding of the frame, thinning of candidates and masks stay ultralytics' own.
    """

    def answer(pixels: torch.Tensor, *_: Any, **__: Any) -> Any:
        green = (pixels[:, 1] > 0.6) & (pixels[:, 0] < 0.4) & (pixels[:, 2] < 0.4)
        rows, columns = torch.where(green[0])
        x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        prototypes = torch.zeros(1, 32, pixels.shape[2] // 4, pixels.shape[3] // 4)
        prototypes[0, 0] = torch.nn.functional.avg_pool2d(green.float(), 4)[0] * 20 - 10
        candidates = torch.zeros(1, 4 + 80 + 32, 2)
        box = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
        candidates[0, :4, 0], candidates[0, 4 + 16, 0], candidates[0, 84, 0] = box, 0.9, 1.0
        return (candidates, prototypes), None

    monkeypatch.setattr(detector._predictor, "inference", answer)


@pytest.mark.parametrize(
    "size", [(160, 120), (120, 160), (213, 97), (97, 213), (500, 333), (64, 64), (640, 90)]
)
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 0.7), (0.6, 1.0)])
def test_masks_lie_where_the_shape_is_in_frames_of_any_format_and_at_their_edges(
    random_yolo: YoloDetector,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    place: tuple[float, float],
) -> None:
    ideal(random_yolo, monkeypatch)
    width, height = size
    shape = Shape("square", place[0] * width, place[1] * height, 0.45 * min(size), GREEN, np.pi / 4)
    image, (truth,) = render(np.zeros((height, width, 3), np.uint8), [shape])
    (found,) = random_yolo.detect(image)
    assert (found.class_id, found.label) == (16, random_yolo.labels[16])
    assert found.score == pytest.approx(0.9)
    grain = max(size) / 160 * 4  # pixels of the frame per pixel of the network's masks
    assert centre_error(found.mask, truth) < 0.25 * grain
    assert iou(found.mask, truth) > 1 - 0.6 * grain / np.sqrt(truth.sum())


def centre_error(found: Mask, truth: Mask) -> float:
    """Distance in pixels between the centres of the two masks' boxes."""
    centres = []
    for mask in (found, truth):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        centres.append(((columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2))
    return float(np.hypot(centres[0][0] - centres[1][0], centres[0][1] - centres[1][1]))


def test_colours_are_not_exchanged(random_yolo: YoloDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    genuine = random_yolo._predictor.inference

    def spy(pixels: torch.Tensor, *rest: Any, **more: Any) -> Any:
        seen.append(pixels)
        return genuine(pixels, *rest, **more)

    monkeypatch.setattr(random_yolo._predictor, "inference", spy)
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 255  # red
    random_yolo.detect(image)
    assert seen[0][0].mean(dim=(1, 2)).tolist() == pytest.approx([1, 0, 0])


def test_the_picture_is_left_as_it_was(random_yolo: YoloDetector) -> None:
    image = NOISE.copy()
    random_yolo.detect(image)
    assert (image == NOISE).all()


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), "frame.png"])
def test_what_is_no_picture_is_refused(random_yolo: YoloDetector, image: ImageArray) -> None:
    with pytest.raises(SourceError):
        random_yolo.detect(image)


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_onnx_gives_what_pytorch_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime (in the test extra)")
    pytest.importorskip("onnx", reason="needs onnx (in the test extra)")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = borrowed.ultralytics().yolo("yolo11n-seg.yaml")
    network.save("random-seg.pt")
    with borrowed.undisturbed():
        borrowed.ultralytics().yolo("random-seg.pt").export(
            format="onnx", imgsz=160, simplify=False, device="cpu", verbose=False
        )
    image = np.random.default_rng(1).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    Path("random-seg.onnx").rename("renamed.onnx")  # what it is for is said inside, not by its name
    a, b = (
        YoloDetector(file, device="cpu", confidence=0.0, image_size=160).detect(image)
        for file in ("random-seg.pt", "renamed.onnx")
    )
    assert a
    assert [detection.class_id for detection in a] == [detection.class_id for detection in b]
    assert [d.score for d in a] == pytest.approx([d.score for d in b], abs=1e-4)
    assert all((c.mask != d.mask).mean() < 0.01 for c, d in zip(a, b, strict=True))


def test_a_checkpoint_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "elsewhere").mkdir()
    network = borrowed.ultralytics().yolo("yolo11n-seg.yaml")
    network.save("weights/mine-seg.pt")
    network.save("elsewhere/other-seg.pt")
    assert len(YoloDetector("mine-seg", device="cpu").labels) == 80
    assert len(YoloDetector("other-seg.pt", device="cpu", folder="elsewhere").labels) == 80


@pytest.mark.parametrize("name", ["yolo11n-seg", "yolo11n-seg.pt", "yolo11n-seg.onnx"])
def test_a_name_that_is_not_here_is_said_in_one_sentence_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError) as caught:
        YoloDetector(name)
    assert str(tmp_path) in str(caught.value)
    assert "https://github.com/ultralytics/assets/releases" in str(caught.value)
    assert str(caught.value).count(". ") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt"):
        YoloDetector(tmp_path / "gone.pt")


@pytest.mark.parametrize("name", ["net.safetensors", "net.engine"])
def test_other_kinds_of_file_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=r"\.pt, \.onnx or \.yaml"):
        YoloDetector(name)


@pytest.mark.parametrize("name", ["broken-seg.pt", "broken-seg.onnx", "broken.yaml", "no-such-network.yaml"])
@pytest.mark.parametrize("content", [b"", b"not a network", b"PK\x03\x04 truncated"])
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    if not name.startswith("no-such"):
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=name.split(".")[0]):
        YoloDetector(path, device="cpu")


@pytest.mark.parametrize("ours", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    """Also where the program imported ultralytics before us, with its own default."""
    borrowed.ultralytics()
    monkeypatch.setattr("ultralytics.nn.tasks.SAFE_LOAD", ours)
    marker = tmp_path / "ran"
    torch.save({"model": _Trap(marker)}, tmp_path / "trap-seg.pt")
    with pytest.raises(WeightsError, match="trap-seg"):
        YoloDetector(tmp_path / "trap-seg.pt", device="cpu")
    assert not marker.exists()


class _Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def test_a_network_without_masks_is_refused() -> None:
    with pytest.raises(WeightsError, match="task 'detect'"):
        YoloDetector("yolo11n.yaml", device="cpu")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"confidence": -0.1}, "0 to 1"),
        ({"confidence": float("nan")}, "0 to 1"),
        ({"device": "quantum"}, "quantum"),
        ({"device": "cuda:99"}, "CUDA"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        YoloDetector("yolo11n-seg.yaml", **options)


@pytest.mark.parametrize(
    ("package", "file", "install"),
    [("ultralytics", "a.yaml", r"keepsight\[detect\]"), ("onnxruntime", "a.onnx", "onnxruntime")],
)
def test_a_missing_package_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, file: str, install: str
) -> None:
    (tmp_path / file).write_bytes(b"x")
    genuine = find_spec
    monkeypatch.setattr(borrowed, "find_spec", lambda name: None if name == package else genuine(name))
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    borrowed.ultralytics.cache_clear() if package == "ultralytics" else None
    try:
        with pytest.raises(KeepsightError, match=f"pip install '{install}'"):
            YoloDetector(tmp_path / file)
    finally:
        monkeypatch.undo()
        borrowed.ultralytics.cache_clear()


def test_nothing_else_happens(tmp_path: Path) -> None:
    """No network, no files, no output, nothing changed in the process; in a process of its own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    code = """
import os, socket, sys, warnings
def refuse(*a, **k):
    raise SystemExit(f"asked the network: {a}")
socket.getaddrinfo = socket.socket.connect = socket.create_connection = refuse
import cv2, numpy as np, torch
from PIL import Image
def state():
    return (dict(os.environ), torch.save, Image.open, torch.get_num_threads(), cv2.getNumThreads(),
            np.get_printoptions(), list(warnings.filters))
before = state()
from keepsight.detection import YoloDetector
detector = YoloDetector("yolo11n-seg.yaml", device="cpu", confidence=0.0, image_size=96)
assert detector.detect(np.zeros((40, 60, 3), np.uint8)) is not None
now = state()
assert now == before, [(a, b) for a, b in zip(before, now) if a != b]
"""
    environment = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "work",
        env=environment,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # PyTorch makes a folder of its own for temporary files when torchvision is imported.
    assert {path.name for path in tmp_path.rglob("*")} - {f"torchinductor_{getpass.getuser()}"} == {
        "home",
        "work",
    }
