"""The four loaders behind one interface: what comes out of each, and what none of them takes."""

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from keepsight import tracking_loader as tl
from keepsight.detection import YoloDetector
from keepsight.tracking_loader.factory import LOADERS
from keepsight.tracking_loader.memory import SessionTracker
from keepsight.tracking_loader.yolo import DetectionTracker
from tests.detection.scripted import ScriptedDetector, need_ultralytics
from tests.detection.test_prompter import squares
from tests.toy import COLOURS, ToyNetwork, blob_frame

DAVIS = Path(__file__).parents[2] / ".." / "shared" / "data" / "davis" / "val"
# pycocotools' own arrays, as numpy 2 sees them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

NAMES = ("samurai", "sam2long", "sam2", "yolo11n-seg")

Masks = list[npt.NDArray[Any]]


def square_masks(index: int = 0) -> Masks:
    """The toy clip's red and green square on a frame."""
    frame = blob_frame(index)
    return [(frame == np.array(COLOURS[i])).all(axis=2).astype(np.uint8) for i in (1, 2)]


def square_clip(count: int = 6, hidden_from: int = 99) -> list[Image.Image]:
    return [Image.fromarray(blob_frame(i, (2,) if i >= hidden_from else ())) for i in range(count)]


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loaders over the toy network, and over a detector that finds the toy's squares."""

    def toy(name: str) -> Callable[[Any, str], Any]:
        policy = getattr(LOADERS[name], "policy", "")
        return lambda self, device: SessionTracker(ToyNetwork(), policy)

    for name in NAMES[:3]:
        monkeypatch.setattr(LOADERS[name], "build", toy(name))
    monkeypatch.setattr(
        tl.YOLO11SegLoader, "build", lambda self, device: DetectionTracker(ScriptedDetector(squares))
    )


def loaded(name: str, **options: Any) -> tl.TrackingModelLoader:
    loader = tl.create_tracking_loader(
        name, tl.TrackingConfig(**{"model_id": "pocket", "device": "cpu", **options})
    )
    loader.load()
    return loader


def check_shape(result: tl.TrackingResult, ids: list[int], size: tuple[int, int], count: int) -> None:
    """Everything the interface promises of a result, whatever is in it."""
    width, height = size
    assert (result.video_width, result.video_height) == size
    assert [frame.frame_idx for frame in result.frames] == list(range(count))
    assert result.total_processing_time >= sum(frame.processing_time for frame in result.frames) > 0
    assert result.fps == pytest.approx(count / result.total_processing_time)
    for frame in result.frames:
        assert [mask.object_id for mask in frame.masks] == ids
        assert list(frame.occlusions) == ids
        for mask in frame.masks:
            assert mask.mask.dtype == np.uint8
            assert mask.mask.shape == (height, width)
            assert set(np.unique(mask.mask)) <= {0, 1}
            assert isinstance(mask.confidence, float)
            assert 0 <= mask.confidence <= 1
            assert isinstance(frame.occlusions[mask.object_id], bool)
            rle = mask.to_rle()
            assert rle["size"] == [height, width]
            assert isinstance(rle["counts"], str)
            decoded = coco.decode({"size": rle["size"], "counts": rle["counts"].encode()})
            assert (decoded == mask.mask).all()


def iou(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float(np.logical_and(a, b).sum() / max(np.logical_or(a, b).sum(), 1))


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ids", [[1, 2], [-7, 40]])
def test_objects_are_followed_under_their_own_ids(name: str, ids: list[int]) -> None:
    result = loaded(name).track(square_clip(), square_masks(), ids)
    check_shape(result, ids, (80, 48), 6)
    for i, frame in enumerate(result.frames):
        for mask, truth in zip(frame.masks, square_masks(i), strict=True):
            assert iou(mask.mask, truth) > 0.4
            assert mask.confidence > 0.3
        assert frame.occlusions == dict.fromkeys(ids, False)


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", NAMES)
def test_an_object_that_is_hidden_is_occluded_and_keeps_its_place(name: str) -> None:
    result = loaded(name).track(square_clip(6, hidden_from=4), square_masks(), [1, 2])
    check_shape(result, [1, 2], (80, 48), 6)
    assert [frame.occlusions[2] for frame in result.frames] == [False] * 4 + [True] * 2
    assert not any(frame.occlusions[1] for frame in result.frames)
    for frame in result.frames[4:]:
        assert not frame.masks[1].mask.any()
        assert frame.masks[1].confidence < 0.5


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_leaves_nothing_behind_for_the_next(name: str) -> None:
    loader = loaded(name)
    first = loader.track(square_clip(), square_masks(), [1, 2])
    loader.track(square_clip(3), square_masks()[:1], [9])
    again = loader.track(square_clip(), square_masks(), [1, 2])
    for a, b in zip(first.frames, again.frames, strict=True):
        assert all((c.mask == d.mask).all() for c, d in zip(a.masks, b.masks, strict=True))
        assert [c.confidence for c in a.masks] == [d.confidence for d in b.masks]


class Regrets:
    """Follows nothing at first, and knows better at the end."""

    def follow(self, clip: Any) -> Iterator[dict[int, Any]]:
        seen = tl.loader.Seen(np.zeros((clip.height, clip.width), np.bool_), 0.1, True)
        for _ in clip.frames:
            yield dict.fromkeys(clip.masks, seen)

    def revised(self) -> dict[int, dict[int, Any]]:
        return {1: {2: tl.loader.Seen(np.ones((48, 80), np.bool_), 0.8, False)}}


def test_what_hindsight_changes_replaces_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tl.SAM2LongLoader, "build", lambda self, device: Regrets())
    result = loaded("sam2long").track(square_clip(3), square_masks(), [1, 2])
    check_shape(result, [1, 2], (80, 48), 3)
    assert [frame.occlusions for frame in result.frames] == [
        {1: True, 2: True}, {1: True, 2: False}, {1: True, 2: True}
    ]  # fmt: skip
    assert [frame.masks[1].mask.all() for frame in result.frames] == [False, True, False]
    assert result.frames[1].masks[1].confidence == 0.8


@pytest.mark.usefixtures("toys")
def test_sam2long_returns_what_a_session_finishes_with() -> None:
    from keepsight.session import Session
    from keepsight.types import Mask

    session = Session(ToyNetwork(), "sam2long")
    frames = square_clip(8, hidden_from=3)
    said = {i: Mask(mask) for i, mask in enumerate(square_masks())}
    stepped = [session.step(np.asarray(frame), said if n == 0 else None) for n, frame in enumerate(frames)]
    final = [dict(found) | dict(session.finish().get(n, {})) for n, found in enumerate(stepped)]
    result = loaded("sam2long").track(frames, square_masks(), [0, 1])
    for frame, expected in zip(result.frames, final, strict=True):
        for mask in frame.masks:
            assert (mask.mask == expected[mask.object_id].mask).all()


BAD: dict[str, tuple[Callable[[], tuple[Any, Any, Any]], str]] = {
    "no frames": (lambda: ([], square_masks(), [1, 2]), "empty"),
    "frames of two sizes": (
        lambda: ([*square_clip(2), Image.new("RGB", (80, 50))], square_masks(), [1, 2]),
        r"frames\[2\] is 80x50",
    ),
    "frames that are arrays": (
        lambda: ([blob_frame(0)], square_masks(), [1, 2]), r"frames\[0\] is of type ndarray",
    ),
    "no objects": (lambda: (square_clip(2), [], []), "0 masks and 0 ids"),
    "fewer masks": (lambda: (square_clip(2), square_masks()[:1], [1, 2]), "1 masks and 2 ids"),
    "fewer ids": (lambda: (square_clip(2), square_masks(), [1]), "2 masks and 1 ids"),
    "a mask turned round": (
        lambda: (square_clip(2), [square_masks()[0], square_masks()[1].T], [1, 2]),
        r"initial_masks\[1\] \(object 2\).*\(48, 80\).*\(80, 48\)",
    ),
    "a mask with colours": (
        lambda: (square_clip(2), [np.ones((48, 80, 3)), square_masks()[1]], [1, 2]),
        r"initial_masks\[0\]",
    ),
    "an empty mask": (
        lambda: (square_clip(2), [square_masks()[0], np.zeros((48, 80))], [1, 8]),
        r"initial_masks\[1\] \(object 8\)",
    ),
    "a mask of words": (lambda: (square_clip(2), [np.full((48, 80), "a")], [1]), r"initial_masks\[0\]"),
    "an id twice": (lambda: (square_clip(2), square_masks(), [3, 3]), "3 is given twice"),
    "an id that is no number": (lambda: (square_clip(2), square_masks(), [1, "2"]), "'2'"),
    "an id that is a truth": (lambda: (square_clip(2), square_masks(), [1, True]), "True"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_before_any_work(name: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Untouched:
        def follow(self, clip: Any) -> Any:
            pytest.fail("work began")

    monkeypatch.setattr(LOADERS[name], "build", lambda self, device: Untouched())
    given, says = BAD[case]
    with pytest.raises(ValueError, match=says):
        loaded(name).track(*given())


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize("name", NAMES)
def test_track_needs_load_and_unload_takes_it_back(name: str) -> None:
    loader = tl.create_tracking_loader(name, tl.TrackingConfig("pocket", device="cpu"))
    with pytest.raises(RuntimeError, match=r"load\(\)"):
        loader.track(square_clip(), square_masks(), [1, 2])
    loader.unload()  # harmless
    loader.load()
    assert loader.track(square_clip(2), square_masks(), [1, 2]).frames
    loader.unload()
    loader.unload()
    with pytest.raises(RuntimeError, match=r"load\(\)"):
        loader.track(square_clip(), square_masks(), [1, 2])
    loader.load()
    assert loader.track(square_clip(2), square_masks(), [1, 2]).frames


def test_unload_lets_go_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[ToyNetwork]] = []

    def build(self: Any, device: str) -> SessionTracker:
        network = ToyNetwork()
        alive.append(weakref.ref(network))
        return SessionTracker(network, "sam2")

    monkeypatch.setattr(tl.SAM2Loader, "build", build)
    loader = loaded("sam2")
    loader.track(square_clip(2), square_masks(), [1, 2])
    assert alive[0]() is not None
    loader.unload()
    gc.collect()
    assert alive[0]() is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", ["gone.pt", "no-such-model", "/nowhere/at/all.pt"])
def test_a_model_that_is_not_there_is_a_runtime_error_with_its_cause(
    name: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "yolo11n-seg":
        need_ultralytics()
    with pytest.raises(RuntimeError, match=missing.split("/")[-1].split(".")[0]) as caught:
        loaded(name, model_id=missing)
    assert caught.value.__cause__ is not None
    with pytest.raises(RuntimeError, match="gone"):
        loaded(name, checkpoint_path="gone.pt")  # wins over a model_id that could be loaded


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_while_tracking_is_a_runtime_error_with_its_cause(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def follow(self, clip: Any) -> Iterator[Any]:
            yield {}
            raise MemoryError("too large")

    monkeypatch.setattr(LOADERS[name], "build", lambda self, device: Failing())
    with pytest.raises(RuntimeError, match="while tracking") as caught:
        loaded(name).track(square_clip(2), square_masks(), [1, 2])
    assert isinstance(caught.value.__cause__, MemoryError | LookupError)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_without_cuda_a_loader_warns_and_takes_the_cpu(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(LOADERS[name], "build", lambda self, device: places.append(device))
    loader = tl.create_tracking_loader(name, tl.TrackingConfig("pocket", device=device))
    with pytest.warns(UserWarning, match=f"'{device}'.*CPU"):
        loader.load()
    assert places == ["cpu"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tl.create_tracking_loader(name, tl.TrackingConfig("pocket", device="cpu")).load()


def test_the_numbers_and_names_of_the_interface() -> None:
    assert tl.OCCLUSION_CONFIDENCE_THRESHOLD == 0.5
    assert tl.IOU_MATCH_THRESHOLD == 0.3
    assert tl.LOW_CONFIDENCE_IOU_THRESHOLD == 0.5
    assert {kind.name: kind.value for kind in tl.TrackingFramework} == {
        "PYTORCH": "pytorch", "ULTRALYTICS": "ultralytics", "SAM2": "sam2"
    }  # fmt: skip
    assert tl.TrackingFramework("sam2") == "sam2"
    config = tl.TrackingConfig("pocket")
    assert (config.framework, config.device) == (tl.TrackingFramework.PYTORCH, "cuda")
    assert (config.cache_dir, config.checkpoint_path) == (None, None)
    assert issubclass(tl.SAMURAILoader, tl.TrackingModelLoader)
    with pytest.raises(TypeError, match="abstract"):
        tl.TrackingModelLoader(config)  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("samurai", tl.SAMURAILoader),
        ("SAMURAI", tl.SAMURAILoader),
        ("sam2long", tl.SAM2LongLoader),
        ("SAM2-Long", tl.SAM2LongLoader),
        ("sam2_long", tl.SAM2LongLoader),
        ("sam2", tl.SAM2Loader),
        ("SAM2.1", tl.SAM2Loader),
        ("yolo11n-seg", tl.YOLO11SegLoader),
        ("YOLO11n_seg", tl.YOLO11SegLoader),
        ("yolo11seg", tl.YOLO11SegLoader),
    ],
)
def test_the_factory_knows_every_name_in_every_spelling(name: str, kind: type[Any]) -> None:
    assert type(tl.create_tracking_loader(name, tl.TrackingConfig("pocket"))) is kind


def test_the_factory_has_defaults_and_lists_what_it_knows() -> None:
    assert type(tl.create_tracking_loader()) is tl.SAMURAILoader
    with pytest.raises(ValueError, match=r"'deepsort'") as caught:
        tl.create_tracking_loader("deepsort", tl.TrackingConfig("pocket"))
    assert all(name in str(caught.value) for name in LOADERS)


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("samurai", tl.TrackingFramework.SAM2),
        ("sam2long", tl.TrackingFramework.SAM2),
        ("samurai", tl.TrackingFramework.ULTRALYTICS),
        ("sam2", tl.TrackingFramework.ULTRALYTICS),
        ("yolo11n-seg", tl.TrackingFramework.SAM2),
    ],
)
def test_a_framework_that_cannot_run_a_tracker_is_refused(name: str, framework: tl.TrackingFramework) -> None:
    with pytest.raises(ValueError, match="Use TrackingFramework"):
        tl.create_tracking_loader(name, tl.TrackingConfig("pocket", framework=framework))


def test_downloads_go_to_the_folder_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from keepsight.weights.hub import Hub

    asked: list[tuple[Path | None, str]] = []

    def file(self: Hub, repository: str, name: str, *, otherwise: str = "") -> Path:
        asked.append((self.cache, f"{repository}/{name}"))
        return tmp_path / "gone.pt"

    monkeypatch.setattr(Hub, "file", file)
    cache = str(tmp_path / "cache")
    for name, model in (("samurai", "sam2.1_hiera_tiny"), ("yolo11n-seg", "Owner/YOLO11")):
        if name == "yolo11n-seg":
            need_ultralytics()
        with pytest.raises(RuntimeError, match="gone"):
            loaded(name, model_id=model, cache_dir=cache)
    assert asked == [
        (Path(cache), "facebook/sam2.1-hiera-tiny/sam2.1_hiera_tiny.pt"),
        (Path(cache), "Owner/YOLO11/yolo11n-seg.pt"),
    ]


def test_grey_and_transparent_frames_are_frames() -> None:
    frames = [square_clip(1)[0].convert(mode) for mode in ("L", "RGBA", "P")]
    clip = tl.loader.checked(frames, square_masks(), [1, 2])
    assert [image.shape for image in clip.images()] == [(48, 80, 3)] * 3


def real_clip(sequence: str, count: int) -> tuple[list[Image.Image], Masks]:
    if not DAVIS.is_dir():
        pytest.skip("needs ../shared/data/davis/val")
    names = sorted((DAVIS / "JPEGImages" / "480p" / sequence).glob("*.jpg"))[:count]
    truths = DAVIS / "Annotations" / "480p" / sequence
    frames: list[Image.Image] = [Image.open(name) for name in names]
    masks: Masks = [np.asarray(Image.open(truths / f"{name.stem}.png").convert("L")) > 0 for name in names]
    return frames, masks


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[:3])
def test_a_real_clip_is_followed_by_pocket(name: str) -> None:
    frames, truths = real_clip("cows", 8)
    loader = loaded(name)
    result = loader.track(frames, [truths[0]], [5])
    loader.unload()
    check_shape(result, [5], (854, 480), 8)
    assert all(
        iou(frame.masks[0].mask, truth) > 0.7 for frame, truth in zip(result.frames, truths, strict=True)
    )
    assert not any(frame.occlusions[5] for frame in result.frames)


@pytest.mark.slow
def test_a_real_clip_goes_through_yolo_with_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    need_ultralytics()
    frames, truths = real_clip("dog", 3)
    loader = loaded("yolo11n-seg", model_id="yolo11n-seg.yaml", framework=tl.TrackingFramework.ULTRALYTICS)
    result = loader.track(frames, [truths[0], ~truths[0]], [1, 2])
    check_shape(result, [1, 2], (854, 480), 3)
    assert (result.frames[0].masks[0].mask == truths[0]).all()
    assert result.frames[0].masks[0].confidence == 1


def test_yolo_is_given_the_network_asked_for(tmp_path: Path) -> None:
    need_ultralytics()
    from keepsight.detection.borrowed import ultralytics

    ultralytics().yolo("yolo11n-seg.yaml").save(tmp_path / "mine-seg.pt")
    loader = loaded("yolo11seg", model_id="mine-seg", cache_dir=str(tmp_path))
    assert isinstance(loader, tl.YOLO11SegLoader)
    tracker = loader._tracker
    assert isinstance(tracker, DetectionTracker)
    assert isinstance(tracker._detector, YoloDetector)
    assert loader.track(square_clip(2), square_masks(), [1, 2]).frames
