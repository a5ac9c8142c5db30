import gc
import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideDataContainer
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st

from keepsight.errors import FrameIndexError, SourceError, UsageError
from keepsight.types import Frame
from keepsight.video import FrameSource, container, open_source
from keepsight.video.container import VideoFile
from keepsight.video.reel import Reel
from keepsight.video.timeline import Timeline
from tests.video.film import Film, number_in

FILMS = {
    "b_frames.mp4": Film(),
    "open_groups.mp4": Film(
        options={"x264-params": "open-gop=1:bframes=3:b-adapt=0:keyint=12:min-keyint=12"}
    ),
    "refreshed.mp4": Film(options={"x264-params": "intra-refresh=1:bframes=0:keyint=20"}),
    "fragmented.mp4": Film(movflags="frag_keyframe+empty_moov"),
    "one_group.mkv": Film(group=250),
    "film.ts": Film(),
    "film.avi": Film(codec="mpeg4", options={"bf": "2"}),
    "intra.mov": Film(codec="mjpeg", pixels="yuvj420p"),
    "hidden_frames.webm": Film(codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "12"}),
    "raw.h264": Film(container="h264"),
    "odd.gif": Film(codec="gif", pixels="rgb8"),
}


@pytest.fixture(scope="module", params=FILMS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FILMS[request.param].write(tmp_path_factory.mktemp("films") / request.param)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Film().write(tmp_path_factory.mktemp("clip") / "clip.mp4")


# Bad input


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mp4 does not exist"):
        open_source(tmp_path / "gone.mp4")


@pytest.mark.parametrize(
    ("name", "content"), [("text.mp4", b"hello" * 99), ("empty.mp4", b""), ("letter.txt", b"dear sir " * 99)]
)
def test_file_that_is_no_video(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=f"Expected a video.*{name}"):
        open_source(tmp_path / name)


def test_video_without_frames(tmp_path: Path) -> None:
    Film(frames=0).write(tmp_path / "none.mkv")
    with pytest.raises(SourceError, match=r"none\.mkv"):
        open_source(tmp_path / "none.mkv")


def test_sound_without_picture(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(SourceError, match="no video stream"):
        open_source(tmp_path / "sound.wav")


def until_error(source: FrameSource) -> tuple[list[int], str]:
    """The numbers drawn in the frames that come before the error, and its message."""
    seen: list[int] = []
    try:
        for frame in source:
            seen.append(number_in(frame.image))
    except SourceError as error:
        return seen, str(error)
    return seen, "no error"


@pytest.mark.parametrize("cut", [0.72, 0.9])
@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "fragments.mp4"])
def test_truncated_video_gives_its_frames_then_says_where_it_stopped(
    tmp_path: Path, name: str, cut: float
) -> None:
    film = Film(
        codec="mpeg4" if name.endswith("avi") else "libx264",
        movflags="frag_keyframe+empty_moov" if name.startswith("fragments") else "faststart",
    )
    content = film.write(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * cut)])
    with open_source(tmp_path / name) as source:
        seen, message = until_error(source)
        assert 5 < len(seen) < 60
        assert seen == list(range(len(seen)))
        assert f"{name} stopped at frame {len(seen)}:" in message
        assert source.count() == len(seen)
        assert number_in(source.read(len(seen) - 1).image) == len(seen) - 1
        assert numbers(source.frames(stop=len(seen), reverse=True)) == seen[::-1]
        with pytest.raises(SourceError, match=r"has|stopped"):
            source.read(len(seen))
        with pytest.raises(SourceError, match="stopped at frame"):
            list(source.frames(reverse=True))


def test_video_of_which_no_frame_is_left(tmp_path: Path) -> None:
    content = Film().write(tmp_path / "stump.mp4").read_bytes()
    (tmp_path / "stump.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"no frame of stump\.mp4 can be decoded"):
        open_source(tmp_path / "stump.mp4")


def test_cut_off_index_is_said_to_be_missing(tmp_path: Path) -> None:
    content = Film(movflags="").write(tmp_path / "tail.mp4").read_bytes()
    (tmp_path / "tail.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="index"):
        open_source(tmp_path / "tail.mp4")


def test_damage_in_the_middle_is_an_error_with_a_frame_number(tmp_path: Path) -> None:
    film = Film(codec="mjpeg", pixels="yuvj420p", frames=30)
    content = bytearray(film.write(tmp_path / "hurt.mov").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = bytes(1500)
    (tmp_path / "hurt.mov").write_bytes(content)
    with open_source(tmp_path / "hurt.mov", prefetch=0) as source:
        seen, message = until_error(source)
    assert seen == list(range(len(seen)))
    assert f"stopped at frame {len(seen)}" in message


def test_size_that_changes_midway_is_refused(tmp_path: Path) -> None:
    parts = [Film(frames=5, size=size).write(tmp_path / f"{size[0]}.ts") for size in ((96, 64), (128, 64))]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with (
        open_source(tmp_path / "both.ts") as source,
        pytest.raises(SourceError, match=r"96x64 pixels to 128x64 at frame 5"),
    ):
        list(source)


@pytest.mark.parametrize("index", [-1, 60, 61, 10**9])
def test_frame_outside_the_video(film: Path, index: int) -> None:
    with open_source(film) as source, pytest.raises(FrameIndexError, match="has 60 frames, numbered 0 to 59"):
        source.read(index)


def test_ranges_outside_the_video(clip: Path) -> None:
    with open_source(clip) as source:
        with pytest.raises(FrameIndexError, match="60 frames"):
            source.frames(60)
        with pytest.raises(FrameIndexError, match="start=-1"):
            source.frames(-1)
        with pytest.raises(UsageError, match="reverse=True"):
            source.frames(step=-1)
        with pytest.raises(UsageError, match="prefetch"):
            open_source(clip, prefetch=-1)


def test_closed_source_gives_nothing(clip: Path) -> None:
    source = open_source(clip)
    under_way = iter(source)
    next(under_way)
    source.close()
    source.close()
    for act in (lambda: next(under_way), lambda: source.read(0), source.count, lambda: next(iter(source))):
        with pytest.raises(SourceError, match="closed"):
            act()


# Frames by number


def numbers(frames: Iterator[Frame]) -> list[int]:
    """The frames' indices, each checked against the number drawn in the frame."""
    pairs = [(frame.index, number_in(frame.image)) for frame in frames]
    assert [drawn for _, drawn in pairs] == [index for index, _ in pairs]
    return [index for index, _ in pairs]


def test_forward_backward_and_count_agree(film: Path) -> None:
    with open_source(film) as source:
        assert numbers(iter(source)) == list(range(60))
        assert numbers(source.frames(reverse=True)) == list(range(59, -1, -1))
        assert source.count() == 60
        assert source.info.frame_count in (None, 60)


def test_frames_are_read_in_any_order(film: Path) -> None:
    order = [59, 0, 1, 2, 30, 30, 31, 29, 12, 11, 13, 48, 47, 46, 58, 57, 5]
    with open_source(film) as source:
        for index in order:
            frame = source.read(index)
            assert (frame.index, number_in(frame.image)) == (index, index)


def test_times_do_not_depend_on_the_way_to_the_frame(film: Path) -> None:
    with open_source(film) as source:
        times = [frame.time for frame in source]
        assert times[0] == 0
        assert [frame.time for frame in source.frames(reverse=True)] == times[::-1]
        assert source.read(41).time == times[41]


@pytest.fixture(scope="module")
def held_source(clip: Path) -> Iterator[FrameSource]:
    with VideoFile(str(clip), name="clip", held=5) as source:
        yield source


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 59), st.integers(0, 70), st.integers(1, 9), st.booleans())
def test_any_range_is_that_of_range(
    held_source: FrameSource, start: int, stop: int, step: int, reverse: bool
) -> None:
    expected = list(range(start, min(stop, 60), step))
    assert numbers(held_source.frames(start, stop, step, reverse=reverse)) == (
        expected[::-1] if reverse else expected
    )


def test_going_backward_holds_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Film(group=250, frames=60).write(tmp_path / "one_group.mp4")
    longest = 0

    def watched(frames: Iterator[object], stop: int) -> Iterator[object]:
        nonlocal longest
        longest = max(longest, stop)
        return itertools.islice(frames, stop)

    monkeypatch.setattr(container, "islice", watched)
    with VideoFile(str(path), name="one group", held=7) as source:
        assert numbers(source.frames(reverse=True)) == list(range(59, -1, -1))
    assert longest == 7


def test_reading_on_decodes_no_frame_twice(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = 0
    open_reel = Reel.__init__

    def counted(*args: Any, **options: Any) -> None:
        nonlocal opened
        opened += 1
        open_reel(*args, **options)

    monkeypatch.setattr(Reel, "__init__", counted)
    with open_source(clip) as source:
        opened = 0
        assert [number_in(source.read(n).image) for n in range(60)] == list(range(60))
    assert opened == 1


def test_reads_and_iterations_do_not_disturb_each_other(clip: Path) -> None:
    with open_source(clip) as source:
        for forward, backward in zip(source, source.frames(reverse=True), strict=True):
            assert number_in(forward.image) == forward.index
            assert number_in(backward.image) == backward.index == 59 - forward.index
            assert number_in(source.read((forward.index * 7) % 60).image) == (forward.index * 7) % 60


def test_packets_and_decoding_tell_the_same_timeline(film: Path) -> None:
    with Reel(str(film), "film") as reel:
        quick = Timeline.of(reel)
    with Reel(str(film), "film") as reel:
        slow = Timeline.by_decoding(reel)
    assert slow.count == 60
    assert quick is None or (quick.count, quick.stamps) == (slow.count, slow.stamps)
    assert (quick is None) == (film.name in ("film.avi", "hidden_frames.webm", "raw.h264"))


# Times and rates


def test_rate_is_exact_and_times_follow_it(clip: Path) -> None:
    with open_source(clip) as source:
        assert source.info.rate == Fraction(30000, 1001)
        assert [frame.time for frame in source] == [Fraction(1001 * n, 30000) for n in range(60)]


def test_variable_frame_rate_keeps_every_time(tmp_path: Path) -> None:
    times = [n * n + 7 for n in range(40)]
    path = Film(frames=40, times=times, rate=Fraction(1000)).write(tmp_path / "variable.mp4")
    with open_source(path) as source:
        expected = [Fraction(n * n, 1000) for n in range(40)]
        assert [frame.time for frame in source] == expected
        assert [source.read(n).time for n in (39, 3, 20)] == [expected[n] for n in (39, 3, 20)]


def test_stream_without_times_is_timed_by_its_rate(tmp_path: Path) -> None:
    path = Film(container="h264", frames=20).write(tmp_path / "raw.h264")
    with open_source(path) as source:
        assert [frame.time for frame in source] == [Fraction(1001 * n, 30000) for n in range(20)]


# Pictures


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_is_honoured(tmp_path: Path, turns: int, mirrored: bool) -> None:
    path = Film(frames=3, rotation=90 * turns, mirrored=mirrored).write(tmp_path / "turned.mp4")
    stored = Film(frames=3).write(tmp_path / "stored.mp4")
    with open_source(path) as source, open_source(stored) as plain:
        image = plain.read(1).image
        upright = np.rot90(image, turns)
        expected = upright[:, ::-1] if mirrored else upright
        size = (source.info.height, source.info.width)
        assert size == expected.shape[:2]
        np.testing.assert_array_equal(source.read(1).image, expected)


COLOURS = [(200, 60, 30), (20, 90, 220), (128, 128, 128), (250, 250, 250), (8, 8, 8)]


@pytest.mark.parametrize(
    ("codec", "pixels", "matrix", "full_range", "size"),
    [
        ("libx264", "yuv420p", None, False, (80, 48)),
        ("libx264", "yuv420p", 1, False, (80, 48)),
        ("libx264", "yuv420p", 1, True, (80, 48)),
        ("libx264", "yuv420p", 5, False, (80, 48)),
        ("libx264", "yuv444p", 1, False, (75, 47)),
        ("mjpeg", "yuvj420p", None, True, (75, 47)),
    ],
    ids=["untagged", "bt709", "bt709_full", "bt601", "odd_bt709", "odd_jpeg"],
)
def test_colours_arrive(
    tmp_path: Path, codec: str, pixels: str, matrix: int | None, full_range: bool, size: tuple[int, int]
) -> None:
    width, height = size
    painted = np.zeros((height, width, 3), np.uint8)
    for place, colour in enumerate(COLOURS):
        painted[:, place * width // 5 : (place + 1) * width // 5] = colour
    path = tmp_path / "colours.mkv"
    with av.open(str(path), "w") as container:
        options = {"crf": "1"} if codec == "libx264" else {"qmin": "1", "qmax": "2"}
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if matrix is not None:
            stream.codec_context.colorspace = matrix
            stream.codec_context.color_range = 2 if full_range else 1
        frame = av.VideoFrame.from_ndarray(painted, format="rgb24").reformat(
            format=pixels, dst_colorspace=matrix, dst_color_range=2 if full_range else 1
        )
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_source(path) as source:
        image = source.read(0).image
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    for place, colour in enumerate(COLOURS):
        middle = image[height // 2, (2 * place + 1) * width // 10].astype(int)
        assert np.abs(middle - colour).max() <= 5, (colour, middle)


# A film from a camera


BEDROOM = Path("/work/shared/data/videos/bedroom.mp4")


@pytest.mark.skipif(not BEDROOM.exists(), reason="the shared real video bedroom.mp4 is not on this machine")
def test_real_video_backward_is_forward_reversed() -> None:
    with open_source(BEDROOM) as source:
        assert (source.info.width, source.info.height) == (960, 540)
        assert source.info.rate == Fraction(30)
        assert source.info.frame_count == source.count() == 200
        forward = {f.index: f for f in source.frames(start=20, stop=32)}
        backward = list(source.frames(20, 32, reverse=True))
        assert [f.index for f in backward] == list(range(31, 19, -1))
        for frame in backward:
            assert frame.time == forward[frame.index].time == Fraction(frame.index, 30)
            np.testing.assert_array_equal(frame.image, forward[frame.index].image)
        np.testing.assert_array_equal(source.read(25).image, forward[25].image)


def test_frames_are_freed_without_the_garbage_collector(tmp_path: Path) -> None:
    """Frames that wait for it are memory that grows with the video."""
    path = Film(frames=12, rotation=90).write(tmp_path / "film.mp4")
    with VideoFile(str(path), name="film.mp4", prefetch=0) as source:
        next(iter(source))
        gc.collect()
        gc.disable()
        try:
            for _ in source:
                pass
            kept = [o for o in gc.get_objects() if type(o) is SideDataContainer]
        finally:
            gc.enable()
    assert len(kept) <= 1
