"""Requests that are odd or wrong in themselves: shapes at the edge, pictures of every make, garbage."""

import base64
import io
import json
import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import keepsight as ks
from keepsight.apps.cvat.pictures import read_picture
from keepsight.apps.cvat.wire import TooLargeError
from keepsight.errors import KeepsightError
from tests.apps.cvat.lambda_manager import Nuclio, Reply, Task, png
from tests.apps.cvat.user import FRAMES, SHAPES, User, mask_of

HEIGHT, WIDTH = FRAMES[0].shape[:2]
EDGES = [(0, 0), (WIDTH - 1, 0), (0, HEIGHT - 1), (WIDTH - 1, HEIGHT - 1), (30, 45)]
TELLING = {400, 404, 409, 413, 422, 503}  # what a status other than 200 may be


# Shapes at the edge of what there is.


@pytest.mark.parametrize(("x", "y"), EDGES)
def test_shapes_of_one_pixel(user: User, x: int, y: int) -> None:
    shapes = [
        {"type": "mask", "points": [0, 1, x, y, x, y]},
        {"type": "polygon", "points": [x + 0.2, y + 0.2, x + 0.7, y + 0.3, x + 0.4, y + 0.8]},
        {"type": "rectangle", "points": [float(x), float(y), x + 1.0, y + 1.0]},
    ]
    reply = user.cvat.begin(1, 0, shapes)
    assert reply.body["shapes"] == shapes
    for frame in (1, 2):
        reply = user.cvat.follow(1, frame, reply.body["states"])
        assert reply.status == 200, user.cvat.worker.log
        for begun, found in zip(shapes, reply.body["shapes"], strict=True):
            assert found is None or (found["type"] == begun["type"] and mask_of(found, HEIGHT, WIDTH).any())
    user.go_on()


def test_shapes_as_large_as_the_frame(user: User) -> None:
    corners = [0.0, 0.0, WIDTH, 0.0, WIDTH, HEIGHT, 0.0, HEIGHT]
    shapes = [
        {"type": "mask", "points": [0, WIDTH * HEIGHT, 0, 0, WIDTH - 1, HEIGHT - 1]},
        {"type": "polygon", "points": corners},
        {"type": "rectangle", "points": [0.0, 0.0, WIDTH, HEIGHT]},
    ]
    whole = ks.Mask(np.ones((HEIGHT, WIDTH), np.bool_))
    session = ks.Session(ks.load_model("pocket", device="cpu", dtype="float32"))  # as the function does here
    session.step(FRAMES[0], {1: whole, 2: whole})
    reply = user.cvat.begin(1, 0, shapes)
    for frame in (1, 2):
        reply = user.cvat.follow(1, frame, reply.body["states"])
        assert reply.status == 200, user.cvat.worker.log
        mask, polygon, rectangle = (mask_of(shape, HEIGHT, WIDTH) for shape in reply.body["shapes"])
        wanted = session.step(FRAMES[frame])[1].mask  # what the engine finds, however much that is
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.99
        assert polygon.mean() > 0.9
        assert rectangle.any()
    user.go_on()


OUTSIDE: list[Any] = [
    {"type": "rectangle", "points": [WIDTH + 1, 5, WIDTH + 9, 9]},
    {"type": "rectangle", "points": [-20, -20, -1, -1]},
    {"type": "polygon", "points": [WIDTH + 1, 5, WIDTH + 9, 5, WIDTH + 5, 30]},
    {"type": "polygon", "points": [5, -9, 20, -9, 9, -1]},
    {"type": "mask", "points": [0, 4, WIDTH, 3, WIDTH + 1, 4]},
    {"type": "mask", "points": [0, 4, 3, HEIGHT - 1, 4, HEIGHT]},
    {"type": "mask", "points": [0, 4, -1, 3, 0, 4]},
    {"type": "mask", "points": [4, 3, 3, 4, 4]},  # no pixel of its box is set
]


@pytest.mark.parametrize("shape", OUTSIDE)
def test_shapes_outside_the_frame(user: User, shape: Any) -> None:
    assert user.cvat.begin(1, 0, [SHAPES[0], shape]).status == 400
    assert user.told(400, "PromptError: ")
    user.go_on()


def test_shapes_that_reach_beyond_the_frame_are_cut_at_its_edge(user: User) -> None:
    corners = [[-9.5, -9.5], [50.0, -9.5], [50.0, HEIGHT + 5.5], [-9.5, HEIGHT + 5.5]]
    within = np.clip(corners, 0, (WIDTH, HEIGHT))
    for kind in ("polygon", "rectangle"):
        beyond, cut = (
            {"type": kind, "points": (np.ravel(c) if kind == "polygon" else np.ravel([c[0], c[2]])).tolist()}
            for c in (np.asarray(corners), within)
        )
        reply = user.cvat.begin(1, 0, [beyond, cut])
        assert reply.body["shapes"] == [beyond, cut]
        found = user.cvat.follow(1, 1, reply.body["states"]).body["shapes"]
        one, other = (mask_of(shape, HEIGHT, WIDTH) for shape in found)
        # Polygons differ in where they begin, and so in what the tolerance lets go.
        assert (one & other).sum() > 0.97 * (one | other).sum() > 0


def test_a_state_twice_in_a_request(user: User) -> None:
    assert user.cvat.follow(1, 1, [*user.states, user.states[0]]).status == 400
    assert user.told(400, "UsageError: Expected every state once")
    user.go_on()


def test_an_image_of_another_size_leaves_the_state_good(user: User) -> None:
    user.go_on()
    assert user.cvat.follow(2, 2, user.states).status == 422
    assert user.told(422, "SourceError: Expected an image of 120 x 90 pixels")
    assert user.told(422, "but got 120 x 80")
    user.go_on()


# Pictures of every make.


def test_a_noisy_4k_png(user: User) -> None:
    height, width = 2160, 3840
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    frames = []
    for frame in range(2):
        picture = noise.copy()
        picture[800:1400, 1000 + 40 * frame : 1800 + 40 * frame] = (230, 30, 30)
        frames.append(picture)
    user.cvat.tasks[3] = Task.of_video(frames)
    assert len(user.cvat.tasks[3].frames[0]) > 2**24
    polygon = {"type": "polygon", "points": [1000, 800, 1800, 800, 1800, 1400, 1000, 1400]}
    box = {"type": "rectangle", "points": [1000, 800, 1800, 1400]}
    reply = user.cvat.begin(3, 0, [polygon, box])
    reply = user.cvat.follow(3, 1, reply.body["states"])
    assert reply.status == 200, user.cvat.worker.log
    truth = np.zeros((height, width), np.bool_)
    truth[800:1400, 1040:1840] = True
    for shape in reply.body["shapes"]:
        found = mask_of(shape, height, width)
        assert (found & truth).sum() > 0.9 * (found | truth).sum()
    user.go_on()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(picture: npt.NDArray[np.uint8], orientation: int) -> bytes:
    """A file whose EXIF data turn the picture upright again."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(picture).transpose(back[orientation]), "PNG", exif=exif)


def sixteen_bits(picture: npt.NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", picture[..., ::-1].astype(np.uint16) * 257)
    assert done
    return data.tobytes()


def see_through(picture: npt.NDArray[np.uint8]) -> bytes:
    """With transparency, which CVAT shows but the object does not have."""
    alpha = np.random.default_rng(0).integers(1, 256, picture.shape[:2], np.uint8)
    return saved(Image.fromarray(np.dstack([picture, alpha])), "PNG")


MAKES: dict[str, Callable[[npt.NDArray[np.uint8]], bytes]] = {
    "WebP": lambda picture: saved(Image.fromarray(picture), "WEBP", lossless=True),
    "TIFF": lambda picture: saved(Image.fromarray(picture), "TIFF", compression="tiff_lzw"),
    "BMP": lambda picture: saved(Image.fromarray(picture), "BMP"),
    "animation": lambda picture: saved(
        Image.fromarray(picture), "PNG", save_all=True, append_images=[Image.fromarray(255 - picture)]
    ),
    "RGBA": see_through,
    "16 bits of colour": sixteen_bits,
} | {f"EXIF {number}": lambda picture, number=number: turned(picture, number) for number in range(2, 9)}  # type: ignore[misc]


@pytest.mark.parametrize("make", MAKES)
def test_the_make_of_the_files_makes_no_difference(user: User, make: str) -> None:
    user.cvat.tasks[1] = Task([MAKES[make](frame) for frame in FRAMES])
    again = User(user.cvat, user.expected)
    again.go_on()
    again.go_on()


GREY: dict[str, Callable[[Image.Image], bytes]] = {
    "16-bit PNG": lambda grey: saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG"),
    "16-bit TIFF": lambda grey: saved(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "TIFF"),
    "palette": lambda grey: saved(grey.convert("P"), "PNG"),
    "palette, see-through": lambda grey: saved(grey.convert("P"), "PNG", transparency=3),
    "GIF": lambda grey: saved(grey, "GIF"),
    "LA": lambda grey: saved(grey.convert("LA"), "PNG"),
    "RGB": lambda grey: saved(grey.convert("RGB"), "PNG"),
}


def test_grey_files_of_every_make_are_the_same_to_us() -> None:
    grey = Image.fromarray(FRAMES[0]).convert("L")
    plain = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    for name, make in GREY.items():
        assert np.array_equal(read_picture(make(grey), 10**6), plain), name


def test_a_file_that_unpacks_to_too_much_is_not_unpacked(user: User) -> None:
    bomb = saved(Image.new("1", (30_000, 30_000)), "PNG")
    assert len(bomb) < 2**18
    user.cvat.tasks[3] = Task([bomb])
    assert user.cvat.begin(3, 0, [SHAPES[0]]).status == 413
    assert user.told(413, "TooLargeError: Expected an image of at most 64000000 pixels")
    user.go_on()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "DDS"])
def test_damaged_files_are_said_to_be_damaged(kind: str) -> None:
    picture = Image.fromarray(FRAMES[0][:24, :32])
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    whole = saved(picture, kind, **({"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}))
    rng, refused = random.Random(kind), 0
    for _ in range(600):
        file = bytearray(whole[: rng.randrange(1, len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.choice((1, 2, 20))):
            near = rng.random() < 0.5  # the header, where most is decided
            file[rng.randrange(min(len(file), 120) if near else len(file))] = rng.randrange(256)
        try:
            assert read_picture(bytes(file), 10**6).dtype == np.uint8
        except KeepsightError as error:
            assert type(error).__name__ in ("SourceError", TooLargeError.__name__)  # noqa: PT017
            refused += 1
    assert refused > 100


# Garbage.

GARBAGE: list[bytes] = [
    b"",
    b"null",
    b"true",
    b"NaN",
    b'"text"',
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe{\x00}\x00",
    b"\x00\x01\x02",
    b"9" * 5_000,
    b'{"image": ' + b"9" * 5_000 + b"}",
    b'{"image": 1e999, "shapes": [], "states": []}',
    b'{"image": "\\ud800", "shapes": [], "states": []}',
    b'{"image": "", "shapes": {"0": 1}, "states": []}',
    b"<!doctype html>",
]


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_garbage_is_a_bad_request(user: User, content_type: str) -> None:
    for garbage in GARBAGE:
        status, body = user.cvat.worker.post(garbage, content_type)
        assert status == 400, garbage[:40]
        assert list(json.loads(body)) == ["error"]
        assert user.told(400, "UsageError: Expected ")
        assert len(user.cvat.worker.log.splitlines()[-2]) < 500
    user.go_on()


def test_json_is_read_whatever_the_content_type_says(worker: Nuclio) -> None:
    body = {"image": base64.b64encode(png(FRAMES[0])).decode(), "shapes": SHAPES, "states": []}
    status, answer = worker.post(json.dumps(body).encode(), "text/plain")
    assert status == 200
    assert json.loads(answer)["shapes"] == SHAPES


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "points", "image"]), inner, max_size=3)
    ),
    max_leaves=8,
)
ODD_SHAPES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["rectangle", "polygon", "mask"]) | ANYTHING,
        "points": st.lists(st.integers(-5, 130) | st.floats(-1e3, 1e3) | LEAVES, max_size=9) | ANYTHING,
    }
)


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
)
@given(
    image=st.just(base64.b64encode(png(FRAMES[0][:32, :48])).decode()) | ANYTHING,
    shapes=st.lists(ODD_SHAPES | ANYTHING, max_size=3) | ANYTHING,
    states=st.just([]) | st.lists(LEAVES, max_size=3) | ANYTHING,
)
def test_whatever_is_asked_the_answer_tells(worker: Nuclio, image: Any, shapes: Any, states: Any) -> None:
    body = {"image": image, "shapes": shapes, "states": states}
    status, text = worker.post(json.dumps(body).encode())
    reply = Reply(status, json.loads(text))
    if status == 200:
        assert len(reply.body["shapes"]) == len(reply.body["states"])
    else:
        assert status in TELLING, (body, worker.log[-500:])
        assert reply.body["error"].startswith("Expected ")
        assert len(text) < 1000
