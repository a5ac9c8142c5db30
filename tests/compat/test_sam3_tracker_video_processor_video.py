"""Videos as pixel values: those of transformers' video processor, but read when they are asked for."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepsight.compat.sam3_tracker_video.preparation import PreparedVideo
from keepsight.compat.sam3_tracker_video.processor import Sam2VideoProcessor, Sam3TrackerVideoProcessor
from keepsight.compat.sam3_tracker_video.session import Sam3TrackerVideoInferenceSession
from keepsight.errors import FrameIndexError, KeepsightError, SourceError
from keepsight.types import Frame
from keepsight.video import FrameSource, SourceInfo, open_source
from tests.video.film import Film

transformers = pytest.importorskip("transformers", reason="needs transformers (in the test extra)")
# transformers makes arrays of tensors in a way that numpy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE, FRAMES, HEIGHT, WIDTH = 56, 5, 40, 61


def noise(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


PIXELS = noise(FRAMES, HEIGHT, WIDTH, 3)


@pytest.fixture(scope="module")
def theirs() -> Any:
    images = transformers.Sam3ImageProcessor(size=SIDE)
    return transformers.Sam3TrackerVideoProcessor(images, transformers.Sam2VideoVideoProcessor(size=SIDE))


@pytest.fixture(scope="module")
def ours(theirs: Any) -> Sam3TrackerVideoProcessor:
    return Sam3TrackerVideoProcessor(theirs.image_processor, theirs.video_processor)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Without transformers' notes about shapes that could be read in two ways."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


VIDEOS: dict[str, Callable[[], Any]] = {
    "array": lambda: PIXELS,
    "channels first": lambda: PIXELS.transpose(0, 3, 1, 2),
    "channels that could be either": lambda: noise(FRAMES, 3, WIDTH, 3),
    "four rows": lambda: noise(FRAMES, 4, WIDTH, 3),
    "tensor": lambda: torch.from_numpy(PIXELS),
    "float tensor": lambda: torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255,
    "grey": lambda: PIXELS[..., :1],
    "batch of one": lambda: PIXELS[None],
    "list of one": lambda: [PIXELS],
    "list of arrays": lambda: list(PIXELS),
    "list of tensors": lambda: list(torch.from_numpy(PIXELS)),
    "list of images": lambda: [Image.fromarray(frame) for frame in PIXELS],
    "list of one list": lambda: [[Image.fromarray(frame) for frame in PIXELS]],
    "tuple": lambda: tuple(Image.fromarray(frame) for frame in PIXELS),
    "single array": lambda: PIXELS[0],
    "single image": lambda: Image.fromarray(PIXELS[0]),
}


@pytest.mark.parametrize("video", VIDEOS)
def test_frames_are_those_of_transformers(theirs: Any, ours: Any, video: str) -> None:
    expected = theirs.init_video_session(VIDEOS[video]())
    got = ours.init_video_session(VIDEOS[video]())

    assert (got.video_height, got.video_width) == (expected.video_height, expected.video_width)
    assert got.num_frames == expected.num_frames
    for index in range(expected.num_frames):
        frame = got.get_frame(index)
        assert frame.dtype == torch.float32
        torch.testing.assert_close(frame, expected.get_frame(index), atol=1e-6, rtol=0)


def test_files_folders_and_open_sources(theirs: Any, ours: Any, tmp_path: Path) -> None:
    film = Film(frames=FRAMES).write(tmp_path / "film.mp4")
    with open_source(film) as source:
        pixels = np.stack([frame.image for frame in source])
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "folder" / f"{number}.png" for number in range(FRAMES)]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path)

    expected = theirs.init_video_session(pixels)
    for video in (
        film,
        str(film),
        [str(film)],
        tmp_path / "folder",
        paths,
        [list(map(str, paths))],
        open_source(film),
    ):
        got = ours.init_video_session(video)
        assert (got.video_height, got.video_width, got.num_frames) == (*pixels.shape[1:3], FRAMES)
        for index in (0, 1, 2, 4, 3, 2):
            torch.testing.assert_close(got.get_frame(index), expected.get_frame(index), atol=1e-6, rtol=0)


class Counted:
    """A source that notes how it is read."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self.read_singly: list[int] = []
        self.runs: list[tuple[int, int | None, bool]] = []
        self.decoded = 0

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def read(self, index: int) -> Frame:
        self.read_singly.append(index)
        return self._source.read(index)

    def frames(
        self, start: int = 0, stop: int | None = None, step: int = 1, *, reverse: bool = False
    ) -> Iterator[Frame]:
        self.runs.append((start, stop, reverse))
        for frame in self._source.frames(start, stop, step, reverse=reverse):
            self.decoded += 1
            yield frame

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def count(self) -> int:
        return self._source.count()

    def close(self) -> None:
        self._source.close()


def test_frames_are_read_when_asked_for_and_in_one_run_each_way(ours: Any, tmp_path: Path) -> None:
    source = Counted(open_source(Film(frames=30).write(tmp_path / "film.mp4"), prefetch=0))
    video = PreparedVideo(source, ours.video_processor)
    assert (len(video), video.height, video.width) == (30, 64, 96)
    assert (source.read_singly, source.runs) == ([], [])

    for index in [0, 0, *range(12), 11, *range(10, 5, -1), 20, 21, 20]:
        assert video[index].shape == (3, SIDE, SIDE)
    assert source.read_singly == [0, 20]
    assert source.runs == [(1, None, False), (0, 11, True), (21, None, False), (0, 21, True)]
    assert source.decoded == 11 + 5 + 1 + 1


@pytest.mark.parametrize("in_memory", [True, False])
def test_there_are_no_frames_beyond_the_ends(ours: Any, tmp_path: Path, in_memory: bool) -> None:
    given = PIXELS if in_memory else Film(frames=FRAMES).write(tmp_path / "film.mp4")
    video = PreparedVideo(given, ours.video_processor)
    for index in (-1, FRAMES, FRAMES + 7):
        with pytest.raises(FrameIndexError):
            video[index]
    assert video[FRAMES - 1].shape == (3, SIDE, SIDE)
    with pytest.raises(FrameIndexError):
        video[FRAMES]
    _ = video[0]
    with pytest.raises(FrameIndexError):
        video[-1]
    assert len(list(map(video.__getitem__, range(len(video))))) == FRAMES


def test_a_closed_video_gives_no_frames(ours: Any, tmp_path: Path) -> None:
    video = PreparedVideo(Film(frames=FRAMES).write(tmp_path / "film.mp4"), ours.video_processor)
    _ = video[0], video[1]
    video.close()
    with pytest.raises(SourceError, match="closed"):
        video[2]
    video.close()


class Noted:
    """A session that only notes what it was made with."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


class NotingProcessor(Sam2VideoProcessor):
    session_class = Noted


def test_sessions_are_made_with_the_settings_given() -> None:
    processor = NotingProcessor({"size": SIDE})
    made = processor.init_video_session(inference_device="meta", dtype=torch.bfloat16).settings
    assert made == {
        "video": None,
        "video_height": None,
        "video_width": None,
        "inference_device": "meta",
        "inference_state_device": "meta",
        "video_storage_device": "meta",
        "dtype": torch.bfloat16,
        "max_vision_features_cache_size": 1,
    }
    made = processor.init_video_session(
        PIXELS,
        inference_device="cpu",
        inference_state_device="meta",
        processing_device="meta",
        video_storage_device="cpu",
        max_vision_features_cache_size=3,
    ).settings
    assert (made["inference_device"], made["inference_state_device"]) == ("cpu", "meta")
    assert (made["video_storage_device"], made["max_vision_features_cache_size"]) == ("cpu", 3)
    assert (made["video_height"], made["video_width"]) == (HEIGHT, WIDTH)
    assert made["video"][0].is_meta


def test_a_stream_has_no_video(ours: Any) -> None:
    session = ours.init_video_session()
    assert isinstance(session, Sam3TrackerVideoInferenceSession)
    assert session.num_frames is None


MISUSES: dict[str, Callable[[], Any]] = {
    "a number": lambda: 3,
    "nothing": list,
    "frames of different sizes": lambda: [Image.fromarray(PIXELS[0]), Image.fromarray(PIXELS[0, 1:])],
    "two channels": lambda: PIXELS[..., :2],
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_raises_what_theirs_raises(theirs: Any, ours: Any, misuse: str) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011, whatever it is
        theirs.init_video_session(MISUSES[misuse]())
    with pytest.raises(expected.type) as got:
        ours.init_video_session(MISUSES[misuse]())
    assert isinstance(got.value, KeepsightError)


@pytest.mark.parametrize("kind", [TypeError, ValueError, SourceError])
@pytest.mark.parametrize(
    "video",
    ["nowhere.mp4", Path("nowhere"), [PIXELS, PIXELS], np.stack([PIXELS] * 2), ["a.mp4", "b.mp4"], [3]],
)
def test_other_misuse(ours: Any, video: Any, kind: type[Exception]) -> None:
    # transformers raises a TypeError for a file that does not exist, and takes the first video of several.
    with pytest.raises(kind):
        ours.init_video_session(video)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_frames_are_prepared_on_a_gpu(theirs: Any, ours: Any) -> None:
    expected = theirs.init_video_session(PIXELS, processing_device="cuda")
    got = ours.init_video_session(PIXELS, processing_device="cuda")
    for index in range(FRAMES):
        assert got._clip[index].is_cuda
        torch.testing.assert_close(got.get_frame(index), expected.get_frame(index), atol=1e-6, rtol=0)
