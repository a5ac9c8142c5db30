"""The agent function under cvat-cli's own driver, as it runs in the agent's worker process."""

import base64
import io
import json
import pickle
import secrets
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from keepsight.api import VideoTracker, load_model
from keepsight.apps.cvat.service import TrackingService
from keepsight.apps.cvat.settings import Settings
from keepsight.nn.sam2 import Sam2
from keepsight.shapes import cvat_rle, mask_to_polygon, polygon_to_mask
from keepsight.store import InProcessStore
from keepsight.weights import hub
from tests.oracle import moving_texture

aa = pytest.importorskip("cvat_sdk.auto_annotation", reason="needs cvat-sdk (in the test extra)")
driver = pytest.importorskip("cvat_cli._internal.agent_driver", reason="needs cvat-cli (in the test extra)")
tracking = pytest.importorskip("cvat_cli._internal.agent_driver_tracking")
agent: Any = import_module("keepsight.apps.cvat.agent")

DAVIS = Path(__file__).parents[4] / "shared" / "data" / "davis" / "val"
TASK = 42
HEIGHT, WIDTH = 90, 120
FRAMES = moving_texture(6, HEIGHT, WIDTH)
EMPTY = np.full_like(FRAMES[0], 90)
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
DISC = np.stack([30 + 18 * np.cos(ANGLES), 45 + 18 * np.sin(ANGLES)], axis=1)
START = polygon_to_mask(DISC, HEIGHT, WIDTH)
RECTANGLE = {"type": "rectangle", "points": [12.0, 27.0, 48.0, 63.0]}
POLYGON = {"type": "polygon", "points": [float(v) for v in DISC.ravel()]}
MASK = {"type": "mask", "points": cvat_rle.encode(START)}
SHAPES = (RECTANGLE, POLYGON, MASK)

Picture = npt.NDArray[np.uint8] | Image.Image
Bools = npt.NDArray[np.bool_]
Shape = Mapping[str, Any]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sent(picture: Picture) -> Image.Image:
    """A picture as it comes to the agent's worker process."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    arrived = pickle.loads(pickle.dumps(image))
    assert isinstance(arrived, Image.Image)
    return arrived


class Agent:
    """The agent's worker, with cvat-cli's code around the function."""

    def __init__(self, **choices: Any) -> None:
        self.function = agent.create(**{"device": "cpu", "dtype": "float32", **choices})
        tracking.AgentTrackingFunctionDriver.init_worker(lambda: secrets.token_urlsafe(32))
        driver.set_worker_current_function(self.function)

    def begin(self, picture: Picture, *shapes: Shape) -> list[str]:
        given = [aa.TrackableShape(**shape) for shape in shapes]
        states: list[str] = tracking._worker_job_init_tracking(TASK, sent(picture), given)
        return states

    def follow(self, picture: Picture, states: list[str]) -> list[Any]:
        found = tracking._worker_job_track(TASK, sent(picture), states)
        shapes = [None if s is None else {"type": s.type, "points": s.points} for s in found]
        assert json.loads(json.dumps(shapes)) == shapes
        return shapes

    def kept(self, state: str) -> bytes:
        """What is kept of an object."""
        found, _ = tracking._tracking_states.retrieve(state, TASK, (WIDTH, HEIGHT))
        kept: bytes = found.kept.to_bytes()
        return kept


class Nuclio:
    """The other door to the same core."""

    def __init__(self, **choices: Any) -> None:
        settings = Settings(device="cpu", dtype="float32", lost_rectangle="null", **choices)
        self.service = TrackingService.loaded(settings, InProcessStore())
        self.states: list[str] = []

    def ask(self, picture: npt.NDArray[np.uint8], shapes: list[Shape]) -> list[Any]:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG", compress_level=1)
        image = base64.b64encode(file.getvalue()).decode()
        found = self.service.handle({"image": image, "shapes": shapes, "states": self.states})
        self.states = found["states"]
        shapes = found["shapes"]
        return shapes


def mask_of(shape: Shape, height: int = HEIGHT, width: int = WIDTH) -> Bools:
    if shape["type"] == "mask":
        return cvat_rle.decode(shape["points"], height, width)
    return polygon_to_mask(shape["points"], height, width)


def overlap(a: Bools, b: Bools) -> float:
    return float((a & b).sum() / (a | b).sum())


def compare(frames: list[npt.NDArray[np.uint8]], starts: list[Bools], policy: str) -> list[list[Bools]]:
    """Follows objects given as masks, each in all three kinds, through the agent, Nuclio and the tracker.

    Returns:
        By frame, then object, the masks they agreed on.
    """
    edges = [(np.flatnonzero(s.any(axis=0)), np.flatnonzero(s.any(axis=1))) for s in starts]
    boxes = [[float(v) for v in (x[0], y[0], x[-1] + 1, y[-1] + 1)] for x, y in edges]
    outlines = [mask_to_polygon(s, tolerance=0.5) or [] for s in starts]
    shapes: list[Shape] = [
        *({"type": "rectangle", "points": box} for box in boxes),
        *({"type": "polygon", "points": outline} for outline in outlines),
        *({"type": "mask", "points": cvat_rle.encode(start)} for start in starts),
    ]
    model = load_model("pocket", device="cpu", dtype="float32")
    with VideoTracker(frames, model=model, policy=policy) as tracker:
        for i, shape in enumerate(shapes):
            if shape["type"] == "rectangle":
                tracker.prompt(0, i, box=shape["points"])
            else:
                tracker.prompt(0, i, mask=mask_of(shape, *starts[0].shape))
        expected = list(tracker.propagate())
    ours, nuclio = Agent(policy=policy), Nuclio(policy=policy)
    states = ours.begin(frames[0], *shapes)
    nuclio.ask(frames[0], shapes)
    last, agreed = shapes, []
    for frame, result in zip(frames[1:], expected[1:], strict=True):
        found = ours.follow(frame, states)
        assert found == nuclio.ask(frame, [None] * len(shapes))  # type: ignore[list-item]
        for i, (shape, before) in enumerate(zip(found, last, strict=True)):
            assert (shape is not None) == result[i].visible
            if shape is None:
                continue
            assert shape["type"] == before["type"]
            if shape["type"] == "rectangle":
                assert tuple(shape["points"]) == result[i].box
            elif shape["type"] == "mask":
                assert np.array_equal(mask_of(shape, *starts[0].shape), result[i].mask)
            else:
                previous = np.asarray(before["points"])
                assert shape["points"] == mask_to_polygon(result[i].mask, tolerance=1.0, previous=previous)
        last = [shape or before for shape, before in zip(found, last, strict=True)]
        agreed.append([result[i].mask for i in range(len(shapes))])
    return agreed


@pytest.mark.parametrize("policy", ["sam2", "samurai", "sam2long"])
def test_frame_by_frame_equals_the_tracker_and_the_nuclio_function(policy: str) -> None:
    agreed = compare(FRAMES, [START], policy)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for i, masks in enumerate(agreed, start=1):
        disc = (x - 30 - 2 * i) ** 2 + (y - 45) ** 2 < 18**2
        assert min(overlap(mask, disc) for mask in masks) > 0.75


@pytest.mark.slow
@pytest.mark.skipif(not DAVIS.is_dir(), reason="needs ../shared/data/davis/val")
@pytest.mark.parametrize("clip", ["soapbox", "blackswan"])
def test_real_frames_and_several_objects_too(clip: str) -> None:
    paths = sorted((DAVIS / "JPEGImages" / "480p" / clip).glob("*.jpg"))[:6]
    frames = [np.asarray(Image.open(path)) for path in paths]
    truth = [
        np.asarray(Image.open(DAVIS / "Annotations" / "480p" / clip / f"{path.stem}.png")) for path in paths
    ]
    ids = [i for i in np.unique(truth[0]) if i]
    agreed = compare(frames, [truth[0] == i for i in ids], "sam2")
    for masks, true in zip(agreed, truth[1:], strict=True):
        for place, mask in enumerate(masks):
            assert overlap(mask, true == ids[place % len(ids)]) > 0.6


GREY = Image.fromarray(FRAMES[0]).convert("L")
MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "L": lambda image: image.convert("L"),
    "P": lambda image: image.convert("P"),
    "RGBA": lambda image: Image.merge("RGBA", (*image.split(), GREY)),
    "I;16": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
    "LA": lambda image: image.convert("LA"),
    "1": lambda image: image.convert("1", dither=Image.Dither.NONE),
    "CMYK": lambda image: image.convert("CMYK"),
}


@pytest.mark.parametrize("mode", MODES)
def test_images_of_every_mode_are_what_they_show(mode: str) -> None:
    images = [MODES[mode](Image.fromarray(frame)) for frame in FRAMES[:2]]
    assert images[0].mode == mode
    # Pillow itself would clip 16 bits to 8.
    shown = [MODES["L"](Image.fromarray(frame)) for frame in FRAMES[:2]] if mode == "I;16" else images
    rgb = [image.convert("RGB") for image in shown]
    ours = Agent()
    found = ours.follow(images[1], ours.begin(images[0], *SHAPES))
    assert found == ours.follow(rgb[1], ours.begin(rgb[0], *SHAPES))
    assert any(found)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_pictures_are_turned_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(FRAMES[0]).rotate(90, expand=True).save(file, kind, exif=exif)
    function = agent.create(device="cpu")
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert np.array_equal(function.preprocess_image(None, sent(opened)).image, FRAMES[0])


def test_what_is_no_picture_is_told() -> None:
    function = agent.create(device="cpu")
    file = io.BytesIO()
    Image.fromarray(FRAMES[0]).save(file, "PNG")
    cut = Image.open(io.BytesIO(file.getvalue()[:2000]))
    for image in (Image.fromarray(np.zeros((9, 9), np.float32)), cut):
        with pytest.raises(aa.BadFunctionError, match="request's image"):
            function.preprocess_image(None, image)


def test_lost_objects_are_none_rectangles_too_and_are_found_again() -> None:
    ours = Agent()
    states = ours.begin(FRAMES[0], *SHAPES)
    assert ours.follow(EMPTY, states) == [None, None, None]
    assert ours.follow(EMPTY, states) == [None, None, None]
    found = ours.follow(FRAMES[3], states)
    assert [shape["type"] for shape in found] == ["rectangle", "polygon", "mask"]
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = (x - 36) ** 2 + (y - 45) ** 2 < 18**2
    assert min(overlap(mask_of(shape), disc) for shape in found[1:]) > 0.6
    assert abs(found[0]["points"][0] - 18) < 8


def test_a_lost_rectangle_may_be_held() -> None:
    ours = Agent(lost_rectangle="hold")
    states = ours.begin(FRAMES[0], *SHAPES)
    (seen, _, _) = ours.follow(FRAMES[1], states)
    assert seen != RECTANGLE
    assert ours.follow(EMPTY, states) == [seen, None, None]


WHOLE = HEIGHT * WIDTH
EXTREMES: list[Shape] = [
    {"type": "rectangle", "points": [60, 45, 61, 46]},
    {"type": "polygon", "points": [60, 45, 61, 45, 61, 46, 60, 46]},
    {"type": "mask", "points": [0, 1, 60, 45, 60, 45]},
    {"type": "rectangle", "points": [0, 0, WIDTH, HEIGHT]},
    {"type": "polygon", "points": [0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]},
    {"type": "mask", "points": [0, WHOLE, 0, 0, WIDTH - 1, HEIGHT - 1]},
    {"type": "rectangle", "points": [-50, -50, 20, 20]},
    {"type": "rectangle", "points": [20, 20, 0, 0]},
    {"type": "polygon", "points": [-50, -50, 20, -50, 20, 20]},
]


def test_shapes_of_a_pixel_of_all_and_over_the_edge_stay_in_the_frame_and_what_they_are() -> None:
    ours = Agent()
    states = ours.begin(FRAMES[0], *EXTREMES)
    answered = 0
    for frame in FRAMES[1:4]:
        for before, found in zip(EXTREMES, ours.follow(frame, states), strict=True):
            if found is None:
                continue
            answered += 1
            assert found["type"] == before["type"]
            if found["type"] == "mask":
                assert mask_of(found).any()
                assert all(type(number) is int for number in found["points"])
            else:
                corners = np.reshape(found["points"], (-1, 2))
                assert len(corners) >= (2 if found["type"] == "rectangle" else 3)
                assert (corners >= 0).all()
                assert (corners <= (WIDTH, HEIGHT)).all()
    assert answered > 9


BAD: list[tuple[Shape, str]] = [
    ({"type": "rectangle", "points": [1, 2, 3]}, "x1, y1, x2, y2"),
    ({"type": "rectangle", "points": [5, 5, 5, 9]}, "with an area"),
    ({"type": "rectangle", "points": [500, 5, 600, 9]}, "outside"),
    ({"type": "rectangle", "points": [float("nan"), 0, 9, 9]}, "list of numbers"),
    ({"type": "polygon", "points": [1, 1, 2, 2]}, "polygon"),
    ({"type": "polygon", "points": ["a"] * 6}, "list of numbers"),
    ({"type": "polygon", "points": [float(i % 2) for i in range(4002)]}, "at most 4000"),
    ({"type": "mask", "points": [1, 2]}, "five numbers"),
    ({"type": "mask", "points": [0, 9, 500, 0, 502, 2]}, "within the"),
    ({"type": "mask", "points": [1, 0, 0, 0, 0]}, "empty"),
    ({"type": "ellipse", "points": [1, 2, 3, 4]}, "rectangle, polygon, mask"),
]


@pytest.mark.parametrize(("shape", "words"), BAD)
def test_a_shape_that_is_none_is_told_the_user(shape: Shape, words: str) -> None:
    with pytest.raises(aa.BadFunctionError, match=words):
        Agent().begin(FRAMES[0], shape)


def test_a_request_that_fails_leaves_the_object_where_it_was() -> None:
    function = agent.create(device="cpu")
    state = function.init_tracking_state(
        None, function.preprocess_image(None, sent(FRAMES[0])), aa.TrackableShape(**MASK)
    )
    kept = state.kept
    with pytest.raises(aa.BadFunctionError, match="120 x 90"):
        function.track(None, function.preprocess_image(None, sent(FRAMES[1][:80])), state)
    assert state.kept is kept
    assert function.track(None, function.preprocess_image(None, sent(FRAMES[1])), state).type == "mask"


def test_an_image_is_encoded_once_whatever_is_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def counting(self: Sam2, pixels: torch.Tensor, encode: Any = Sam2.encode_image) -> Any:
        encoded.append(pixels)
        return encode(self, pixels)

    monkeypatch.setattr(Sam2, "encode_image", counting)
    ours = Agent()
    states = ours.begin(FRAMES[0], *SHAPES)
    for frame in FRAMES[1:4]:
        ours.follow(frame, states)
    assert len(encoded) == 4


def test_a_prepared_image_serves_any_number_of_times_unchanged() -> None:
    function = agent.create(device="cpu")
    picture = function.preprocess_image(None, sent(FRAMES[0]))
    before = [feature.clone() for feature in picture.features]
    answers = []
    for _ in range(2):
        states = [function.init_tracking_state(None, picture, aa.TrackableShape(**s)) for s in SHAPES]
        answers.append([function.track(None, picture, state).points for state in states])
    assert answers[0] == answers[1]
    assert all(torch.equal(a, b) for a, b in zip(picture.features, before, strict=True))
    assert np.array_equal(picture.image, FRAMES[0])


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["sam2", "samurai", "sam2long"])
def test_what_is_kept_of_an_object_is_bounded(policy: str) -> None:
    ours = Agent(policy=policy)
    states = ours.begin(FRAMES[0], POLYGON)
    sizes = []
    for step in range(1, 41):
        ours.follow(FRAMES[step % len(FRAMES)], states)
        sizes.append(len(ours.kept(states[0])))
    assert max(sizes[16:]) < 1.01 * sizes[16]
    assert max(sizes) < 2.1 * 2**20 * (3 if policy == "sam2long" else 1)


def test_a_model_that_cannot_be_had_is_told_without_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **options: Any) -> Any:
        raise OSError("/home/me/secret")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    ours = Agent(model_id="someone/their-model")
    with pytest.raises(aa.BadFunctionError, match="cannot be loaded") as caught:
        ours.begin(FRAMES[0], MASK)
    assert "secret" not in str(caught.value)
    assert "secret" in str(caught.value.__cause__)


def test_memory_that_is_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Sam2, "encode_image", full)
    with pytest.raises(aa.BadFunctionError, match="no memory left"):
        Agent().begin(FRAMES[0], MASK)
