"""A clip of three coloured squares, a network that follows colours, and ways to run the command on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from rich.console import Console

from keepsight.apps.cvat.job.options import CvatTrackOptions
from keepsight.apps.cvat.job.run import Outcome, run
from keepsight.nn.io import VideoNetwork
from keepsight.shapes import cvat_rle
from tests.apps.cvat.job.cvat_server import TOKEN, CvatServer, running
from tests.toy import ToyNetwork, blob_frame, place

SIZE = (80, 48)
HIDDEN = (4, 5)  # frames on which square 1 is not there
Track = Callable[..., Outcome]


def loaded(*_: object, **__: object) -> VideoNetwork:
    """The toy in the model's place."""
    return ToyNetwork()


def clip(count: int = 10) -> list[npt.NDArray[np.uint8]]:
    """Frames; on two of them the first square is hidden."""
    return [blob_frame(i, hidden=(1,) if i in HIDDEN else ()) for i in range(count)]


def box(i: int, frame: int) -> list[float]:
    """Square i as a rectangle."""
    x, y = place(i, frame)
    return [float(v) for v in (x, y, x + 12, y + 12)]


def polygon(i: int, frame: int) -> list[float]:
    """Square i as a polygon."""
    x1, y1, x2, y2 = box(i, frame)
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def mask(i: int, frame: int) -> list[int]:
    """Square i as runs."""
    x1, y1, x2, y2 = (int(v) for v in box(i, frame))
    pixels = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    pixels[y1:y2, x1:x2] = True
    return cvat_rle.encode(pixels)


OUTLINES: dict[str, Callable[[int, int], Any]] = {"rectangle": box, "polygon": polygon, "mask": mask}


def drawn(kind: str, i: int, frame: int = 0, **other: Any) -> dict[str, Any]:
    """A shape as a person draws it, in the REST interface's words; square 1 is a car, the others dogs."""
    return {
        "type": kind,
        "frame": frame,
        "points": OUTLINES[kind](i, frame),
        "label_id": 3 if i == 1 else 4,
        "group": 0,
        "source": "manual",
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0.0,
        "attributes": [],
        **other,
    }


def drawn_track(
    kind: str, i: int, *frames: int, outside: tuple[int, ...] = (), **other: Any
) -> dict[str, Any]:
    """A track as a person draws it, keyframe by keyframe."""
    keyframes = [drawn(kind, i, frame, outside=frame in outside) for frame in sorted({*frames, *outside})]
    extra = ("label_id", "group", "source")
    shapes = [{key: value for key, value in one.items() if key not in extra} for one in keyframes]
    head: dict[str, Any] = {"label_id": 3 if i == 1 else 4, "group": 0, "source": "manual", "attributes": []}
    return {**head, "frame": shapes[0]["frame"], "shapes": shapes, "elements": [], **other}


def plain(annotations: Any) -> Any:
    """Without the order of attributes, which the server changes at will."""

    def sort(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: sort(item) for key, item in value.items()}
        if isinstance(value, list):
            items = [sort(item) for item in value]
            return (
                sorted(items, key=lambda i: i["spec_id"])
                if items and "spec_id" in str(items[0])[:12]
                else items
            )
        return value

    return sort(annotations)


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No password, profile or token of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)
    for name in ("PASS", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[CvatServer]:
    """A job of ten frames, numbered 0 to 9."""
    pytest.importorskip("cvat_sdk", reason="needs cvat-sdk (in the test extra, from Python 3.11 on)")
    with running(CvatServer(clip())) as started:
        yield started


@pytest.fixture
def track(server: CvatServer) -> Track:
    """Tracks on the server: `track(0, 7)` from frame 0 to frame 7."""

    def tracked(start: int, *targets: int, **options: Any) -> Outcome:
        given = {"server_host": server.url, "job": None if "task" in options else 7}
        chosen = CvatTrackOptions(start, [*targets] or None, **{**given, **options})
        return run(chosen, Console(quiet=True), loaded)

    return tracked


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The clip as a folder of images, 0.png to 9.png."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, frame in enumerate(clip()):
        Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def track_file(images: Path, tmp_path: Path) -> Callable[..., bytes]:
    """Tracks in a file: `track_file(data, 0, 7)` gives the tracked file's bytes."""

    def tracked(data: bytes, start: int, *targets: int, **options: Any) -> bytes:
        source, output = tmp_path / "in.any", tmp_path / "out.any"
        source.write_bytes(data)
        given = {"annotations": source, "video": str(images), "output": output, "overwrite": True}
        run(CvatTrackOptions(start, [*targets] or None, **{**given, **options}), Console(quiet=True), loaded)
        return output.read_bytes()

    return tracked
