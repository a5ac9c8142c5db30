import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from keepsight.errors import SourceError
from keepsight.types import Frame
from keepsight.video import open_source
from tests.video.film import Film, number_in, numbered


class FakeCamera:
    """Stands in for cv2.VideoCapture: gives numbered frames, then stops; notes use after release."""

    length = 200
    pause = 0.0

    def __init__(self, index: int) -> None:
        self.index, self.given, self.released = index, 0, False
        cameras.append(self)

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.index == 0

    def get(self, prop: int) -> float:
        return 29.97 if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, npt.NDArray[np.uint8] | None]:
        assert not self.released
        time.sleep(self.pause)
        if self.given == self.length:
            return False, None
        self.given += 1
        image = numbered(self.given - 1)
        image[:4] = (0, 0, 255)
        return True, image

    def release(self) -> None:
        self.released = True


cameras: list[FakeCamera] = []


@pytest.fixture(autouse=True)
def _camera(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras.clear()
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)


@pytest.mark.parametrize("index", [3, -1])
def test_missing_camera(index: int) -> None:
    with pytest.raises(SourceError, match=f"{index}"):
        open_source(index)
    assert all(camera.released for camera in cameras)


def test_camera_without_prefetch_gives_every_frame_in_rgb() -> None:
    with open_source(0, prefetch=0) as source:
        assert (source.info.width, source.info.height, source.info.live) == (96, 64, True)
        assert source.info.frame_count is None
        frames = list(itertools.islice(source, 20))
    assert [(frame.index, number_in(frame.image)) for frame in frames] == [(n, n) for n in range(20)]
    assert frames[0].time == 0
    assert all(
        a.time < b.time for a, b in itertools.pairwise(frames) if a.time is not None and b.time is not None
    )
    np.testing.assert_array_equal(frames[0].image[0, 0], (255, 0, 0))
    assert cameras[0].released


def test_slow_consumer_gets_fresh_frames_numbered_without_gaps() -> None:
    with open_source(0, prefetch=2) as source:
        iterator = iter(source)
        next(iterator)
        while cameras[0].given < FakeCamera.length:
            time.sleep(0.001)
        rest: list[Frame] = []
        with pytest.raises(SourceError, match="camera 0 stopped giving frames"):
            rest.extend(iterator)
    assert [frame.index for frame in rest] == [1, 2]
    assert [number_in(frame.image) for frame in rest] == [198, 199]


def test_live_frames_come_once_and_have_no_numbers_to_ask_for() -> None:
    with open_source(0) as source:
        next(iter(source))
        with pytest.raises(SourceError, match="read already"):
            iter(source)
        for ask in (
            partial(source.read, 0),
            source.count,
            partial(source.frames, 0),
            partial(source.frames, reverse=True),
        ):
            with pytest.raises(SourceError, match="is live"):
                ask()


def test_camera_is_released_only_by_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCamera, "pause", 0.01)
    source = open_source(0)
    next(iter(source))
    source.close()
    assert cameras[0].released
    unread = open_source(0)
    unread.close()
    unread.close()
    assert cameras[1].released


class Streamer(SimpleHTTPRequestHandler):
    """Serves files without ranges or logs."""

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Streamer, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_finite_video_behind_a_url(tmp_path: Path, served: str) -> None:
    Film().write(tmp_path / "film.mp4")
    with open_source(f"http://user:secret@{served}/film.mp4") as source:
        assert "secret" not in source.info.name
        assert not source.info.live
        assert [number_in(frame.image) for frame in source] == list(range(60))
        assert number_in(source.read(41).image) == 41


def test_stream_without_an_end_is_live(tmp_path: Path, served: str) -> None:
    Film(container="h264").write(tmp_path / "endless")
    with open_source(f"http://{served}/endless", prefetch=0) as source:
        assert source.info.live
        assert [(f.index, number_in(f.image)) for f in source] == [(n, n) for n in range(60)]
        with pytest.raises(SourceError, match="is live"):
            source.read(0)


@pytest.mark.parametrize(
    "url", ["http://user:secret@127.0.0.1:9/a.mp4", "rtsp://u:secret@127.0.0.1:9/a", "foo://secret@b"]
)
def test_url_that_cannot_be_opened(url: str) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as caught:
        open_source(url)
    assert "secret" not in str(caught.value)
