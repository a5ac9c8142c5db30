"""The Nuclio function through Nuclio's own test platform, as CVAT's lambda manager calls it."""

import base64
import io
import json
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from keepsight.api import VideoTracker, load_model
from keepsight.apps.cvat import follower, nuclio
from keepsight.apps.cvat.figures import prompt_of
from keepsight.apps.cvat.service import TrackingService
from keepsight.apps.cvat.settings import Settings
from keepsight.errors import StoreUnavailableError, UsageError
from keepsight.shapes import cvat_rle, polygon_to_mask
from keepsight.store import InProcessStore, Live
from keepsight.types import Box, Mask
from tests.oracle import moving_texture

sdk = pytest.importorskip("nuclio_sdk", reason="needs nuclio-sdk (in the test extra)")
testing = pytest.importorskip("nuclio_sdk.test")

HEIGHT, WIDTH = 90, 120
FRAMES = moving_texture(8, HEIGHT, WIDTH)
ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
DISC = np.stack([30 + 18 * np.cos(ANGLES), 45 + 18 * np.sin(ANGLES)], axis=1)
POLYGON = {"type": "polygon", "points": [float(v) for v in DISC.ravel()]}
RECTANGLE = {"type": "rectangle", "points": [12.0, 27.0, 48.0, 63.0]}
MASK = {"type": "mask", "points": cvat_rle.encode(polygon_to_mask(DISC, HEIGHT, WIDTH))}


def png(picture: npt.NDArray[np.uint8] | Image.Image, kind: str = "PNG", **options: Any) -> str:
    """A picture as CVAT sends it."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


class Function:
    """The function as deployed, called over Nuclio's test platform."""

    def __init__(self) -> None:
        self.platform = testing.Platform()

    def __call__(self, body: Any) -> tuple[int, Any]:
        event = sdk.Event(body=body, content_type="application/json", method="POST", path="/")
        response = self.platform.call_handler(nuclio.handler, event)
        return response.status_code, json.loads(response.body)

    def begin(self, *shapes: Any, frame: int = 0) -> list[str]:
        status, found = self({"image": png(FRAMES[frame]), "shapes": list(shapes), "states": []})
        assert status == 200, found
        assert found["shapes"] == list(shapes)
        states: list[str] = found["states"]
        return states

    def follow(self, states: list[str], frame: int) -> tuple[list[Any], list[str]]:
        status, found = self({"image": png(FRAMES[frame]), "shapes": [None] * len(states), "states": states})
        assert status == 200, found
        assert len(found["shapes"]) == len(found["states"]) == len(states)
        return found["shapes"], found["states"]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    torch.set_num_threads(1)
    for name in ("CVAT_FUNCTIONS_REDIS_HOST", "KEEPSIGHT_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEEPSIGHT_DTYPE", "float32")
    return Function()


def mask_of(shape: Any) -> npt.NDArray[np.bool_]:
    if shape["type"] == "mask":
        return cvat_rle.decode(shape["points"], HEIGHT, WIDTH)
    return polygon_to_mask(shape["points"], HEIGHT, WIDTH)


def overlap(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_all_kinds_of_shapes_are_followed_and_stay_what_they_are(function: Function) -> None:
    states = function.begin(RECTANGLE, POLYGON, MASK)
    assert len(set(states)) == 3
    assert all(len(state) >= 22 for state in states)  # 128 random bits in base64
    for frame in range(1, 6):
        shapes, states = function.follow(states, frame)
        assert [shape["type"] for shape in shapes] == ["rectangle", "polygon", "mask"]
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        disc = (x - 30 - 2 * frame) ** 2 + (y - 45) ** 2 < 18**2
        assert overlap(mask_of(shapes[1]), disc) > 0.75
        assert overlap(mask_of(shapes[2]), disc) > 0.75
        x1, _, _, y2 = shapes[0]["points"]
        assert abs(x1 - (12 + 2 * frame)) < 8
        assert abs(y2 - 63) < 8
        assert all(isinstance(run, int) for run in shapes[2]["points"])


def test_frame_by_frame_equals_the_tracker(function: Function) -> None:
    model = load_model("pocket", device="cpu", dtype="float32")
    start = polygon_to_mask(DISC, HEIGHT, WIDTH)
    with VideoTracker(FRAMES, model=model) as tracker:
        tracker.prompt(0, 1, mask=start)
        expected = [result[1].mask for result in tracker.propagate()]
    states = function.begin(MASK)
    for frame in range(1, len(FRAMES)):
        shapes, states = function.follow(states, frame)
        assert np.array_equal(mask_of(shapes[0]), expected[frame])


def test_objects_begun_on_different_frames_are_answered_as_if_alone(function: Function) -> None:
    early = function.begin(MASK)
    _, early = function.follow(early, 1)
    shifted = {
        "type": "mask",
        "points": cvat_rle.encode(polygon_to_mask(np.add(DISC, [2, 0]), HEIGHT, WIDTH)),
    }
    late = function.begin(shifted, frame=1)
    together, _ = function.follow([*early, *late], 2)
    other = Function()
    alone = other.begin(MASK)
    _, alone = other.follow(alone, 1)
    assert together[0] == other.follow(alone, 2)[0][0]
    assert together[1] == other.follow(other.begin(shifted, frame=1), 2)[0][0]


def test_a_request_may_begin_some_and_go_on_with_others(function: Function) -> None:
    (state,) = function.begin(MASK)
    status, found = function({"image": png(FRAMES[1]), "shapes": [None, RECTANGLE], "states": [state, None]})
    assert status == 200
    assert [shape["type"] for shape in found["shapes"]] == ["mask", "rectangle"]
    function.follow(found["states"], 2)


def test_legacy_rectangles_come_and_go_as_bare_numbers(function: Function) -> None:
    (state,) = function.begin([12, 27, 48, 63])
    shapes, _ = function.follow([state], 1)
    assert isinstance(shapes[0], list)
    assert len(shapes[0]) == 4
    assert function({"image": png(FRAMES[0]), "shapes": [], "states": []}) == (
        200,
        {"shapes": [], "states": []},
    )


def test_a_lost_object_is_null_or_held_and_found_again(function: Function) -> None:
    states = function.begin(RECTANGLE, MASK)
    grey = png(np.full_like(FRAMES[0], 90))
    status, found = function({"image": grey, "shapes": [None, None], "states": states})
    assert status == 200
    assert found["shapes"] == [RECTANGLE, None]
    shapes, _ = function.follow(found["states"], 2)
    assert shapes[1] is not None
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    assert overlap(mask_of(shapes[1]), (x - 34) ** 2 + (y - 45) ** 2 < 18**2) > 0.6


def test_a_lost_rectangle_may_be_null(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPSIGHT_LOST_RECTANGLE", "null")
    states = function.begin(RECTANGLE)
    status, found = function({"image": png(np.full_like(FRAMES[0], 90)), "shapes": [None], "states": states})
    assert (status, found["shapes"]) == (200, [None])


def test_the_same_request_again_gets_the_same_answer_and_another_a_conflict(function: Function) -> None:
    states = function.begin(MASK, POLYGON)
    first = function.follow(states, 1)
    assert function.follow(states, 1) == first
    status, _ = function({"image": png(FRAMES[2]), "shapes": [None, None], "states": states})
    assert status == 409
    function.follow(first[1], 2)


def test_of_two_racing_requests_one_wins(function: Function) -> None:
    states = function.begin(MASK)
    answers: list[tuple[int, Any]] = []

    def ask(frame: int) -> None:
        answers.append(function({"image": png(FRAMES[frame]), "shapes": [None], "states": states}))

    threads = [threading.Thread(target=ask, args=(frame,)) for frame in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 409]


def test_one_bad_state_leaves_all_objects_where_they_were(function: Function) -> None:
    states = function.begin(MASK)
    status, _ = function({"image": png(FRAMES[1]), "shapes": [None, None], "states": [*states, "x" * 32]})
    assert status == 404
    function.follow(states, 2)


BAD: list[tuple[Any, int]] = [
    ("no object", 400),
    ([], 400),
    ({}, 400),
    ({"image": "%%%", "shapes": [RECTANGLE]}, 400),
    ({"image": base64.b64encode(b"no picture").decode(), "shapes": [RECTANGLE]}, 422),
    ({"image": png(FRAMES[0])[:400], "shapes": [RECTANGLE]}, 422),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "ellipse", "points": [1, 2, 3, 4]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "rectangle", "points": [1, 2, 3]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "rectangle", "points": [5, 5, 5, 9]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "rectangle", "points": [500, 5, 600, 9]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "polygon", "points": [1, 1, 2, 2]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "polygon", "points": ["a"] * 6}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "mask", "points": [1, 2]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "mask", "points": [0, 9, 500, 0, 502, 2]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [{"type": "rectangle", "points": [float("nan"), 0, 9, 9]}]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [None], "states": []}, 400),
    ({"image": png(FRAMES[0]), "shapes": [None], "states": [7]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [None], "states": ["unknown"]}, 404),
    ({"image": png(FRAMES[0]), "shapes": [None, None], "states": ["unknown"]}, 400),
    ({"image": png(FRAMES[0]), "shapes": [None] * 101, "states": ["a" * 32] * 101}, 413),
    ({"image": png(FRAMES[0]), "shapes": "all"}, 400),
]


def test_what_is_wrong_is_told_by_the_status_without_a_traceback(function: Function) -> None:
    for body, expected in BAD:
        status, found = function(body)
        assert status == expected, (found, str(body)[-120:])
        assert "Traceback" not in json.dumps(found)
        assert len(found["error"]) > 20


def test_another_image_size_is_refused(function: Function) -> None:
    (state,) = function.begin(MASK)
    small = png(FRAMES[1][:80])
    assert function({"image": small, "shapes": [None], "states": [state]})[0] == 422
    function.follow([state], 1)


def test_limits_are_the_deployment_s(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPSIGHT_MAX_IMAGE_PIXELS", "9999")
    assert function({"image": png(FRAMES[0]), "shapes": [RECTANGLE]})[0] == 413
    zigzag = {"type": "polygon", "points": [float(i % 2) for i in range(4002)]}
    assert function({"image": png(FRAMES[0]), "shapes": [zigzag]})[0] == 413


def test_settings_that_do_not_fit_are_told_at_the_start() -> None:
    assert Settings.from_environment({"KEEPSIGHT_POLICY": "samurai"}).policy == "samurai"
    for name, value in (("MAX_OBJECTS", "many"), ("POLYGON_TOLERANCE", "-1"), ("LOST_RECTANGLE", "drop")):
        with pytest.raises(UsageError, match=f"KEEPSIGHT_{name}"):
            Settings.from_environment({f"KEEPSIGHT_{name}": value})


def test_every_kind_of_prompt_is_tried_before_the_first_request(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[Any] = []

    def noted(*args: Any) -> Any:
        prompts.append(prompt_of(*args))
        return prompts[-1]

    monkeypatch.setattr(follower, "prompt_of", noted)
    assert function(None)[0] == 400  # what is asked does not matter: the function is started for it
    assert {type(prompt) for prompt in prompts} == {Box, Mask}


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "I;16", "1"])
def test_pictures_of_every_kind_are_read(function: Function, mode: str) -> None:
    grey = Image.fromarray(FRAMES[0]).convert("L")
    picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else None
    image = picture or Image.fromarray(FRAMES[0]).convert(mode)
    status, found = function({"image": png(image), "shapes": [RECTANGLE], "states": []})
    assert status == 200, found


def test_pictures_are_turned_upright_and_may_be_large(function: Function) -> None:
    turned = Image.fromarray(FRAMES[0]).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    status, found = function({"image": png(turned, "JPEG", exif=exif), "shapes": [MASK], "states": []})
    assert status == 200, found
    large = Image.fromarray(FRAMES[0]).resize((3840, 2160))
    for points in ([0, 0, 3840, 2160], [1000, 1000, 1001, 1001]):
        shape = {"type": "rectangle", "points": points}
        status, found = function({"image": png(large), "shapes": [shape], "states": []})
        assert status == 200, found
        status, found = function({"image": png(large), "shapes": [None], "states": found["states"]})
        assert status == 200, found


class _Down(InProcessStore):
    """A store that cannot be reached."""

    def put(self, snapshots: Any) -> Any:
        raise StoreUnavailableError("Expected Redis at db:6666, but it does not answer.")


def test_a_store_that_is_gone_and_a_tracker_that_fails_are_told_apart(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nuclio, "from_environment", lambda: _Down())
    body = {"image": png(FRAMES[0]), "shapes": [RECTANGLE], "states": []}
    assert function(body)[0] == 503

    def broken(self: TrackingService, body: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(TrackingService, "handle", broken)
    assert function(body) == (500, {"error": "The tracker failed; its log says how."})


def test_a_state_that_was_changed_is_refused(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    store = InProcessStore()
    monkeypatch.setattr(nuclio, "from_environment", lambda: store)
    (state,) = function.begin(MASK)
    (live,) = store.get([state])
    assert isinstance(live, Live)
    snapshot = live.snapshot
    for changed in (snapshot[:-9], snapshot[:20] + b"9" + snapshot[21:], b"", snapshot + b"!"):
        (token,) = store.put([changed])
        assert function({"image": png(FRAMES[1]), "shapes": [None], "states": [token]})[0] == 404


def test_a_state_is_at_most_a_mebibyte(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    store = InProcessStore()
    monkeypatch.setattr(nuclio, "from_environment", lambda: store)
    monkeypatch.setenv("KEEPSIGHT_DTYPE", "bfloat16")
    states = function.begin(POLYGON)
    for step in range(1, 18):  # by then memory is full
        _, states = function.follow(states, step % len(FRAMES))
    (live,) = store.get(states)
    assert isinstance(live, Live)
    assert 2**19 < len(live.snapshot) <= 2**20
