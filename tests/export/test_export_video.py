import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import NamedTuple

import av
import numpy as np
import pytest

from keepsight.errors import OutputError, UsageError
from keepsight.export import VideoWriter
from keepsight.types import FrameResult

MakeResult = Callable[..., FrameResult]
Feed = Callable[..., None]
FullDisk = Callable[[int], AbstractContextManager[None]]
NTSC = Fraction(30000, 1001)


class Video(NamedTuple):
    codec: str
    pix_fmt: str | None
    size: tuple[int, int]
    rate: Fraction | None
    duration: Fraction
    times: list[Fraction]
    shades: list[int]


def read(path: Path) -> Video:
    times, shades = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert frame.time_base is not None
            times.append(frame.pts * frame.time_base)
            shades.append(round(float(frame.to_ndarray(format="rgb24").mean())))
        duration = (stream.duration or 0) * (stream.time_base or Fraction(0))
        context = stream.codec_context
        size = context.width, context.height
        return Video(context.name, context.pix_fmt, size, stream.average_rate, duration, times, shades)


def shade(index: int) -> int:
    return 20 + 5 * index


def follows(shades: list[int], indices: list[int]) -> bool:
    return len(shades) == len(indices) and all(
        abs(got - shade(index)) <= 2 for got, index in zip(shades, indices, strict=True)
    )


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(25), NTSC, Fraction(24000, 1001), Fraction(1, 2)])
def test_the_video_has_the_rate_asked_for(tmp_path: Path, make_result: MakeResult, rate: Fraction) -> None:
    with VideoWriter(tmp_path / "a.mp4", rate) as writer:
        for index in range(20):
            writer.write(make_result(index, {1: (4, 4, 20, 20)}, time=Fraction(index, 7)))
    video = read(tmp_path / "a.mp4")
    assert (video.codec, video.pix_fmt, video.size) == ("h264", "yuv420p", (64, 48))
    assert video.rate == rate
    assert video.times == [index / rate for index in range(20)]
    assert video.duration == 20 / rate
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_without_a_rate_frames_keep_their_true_times(tmp_path: Path, make_result: MakeResult) -> None:
    times = [Fraction(5) + Fraction(1001 * index, 30000) for index in range(20)]
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index, time in enumerate(times):
            writer.write(make_result(index, {}, time=time))
    video = read(tmp_path / "a.mp4")
    assert video.times == [time - 5 for time in times]
    assert video.rate == NTSC
    assert video.duration == 20 / NTSC


def test_uneven_times_stay_uneven(tmp_path: Path, make_result: MakeResult) -> None:
    times = [Fraction(index * index, 1000) for index in range(1, 20)]
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index, time in enumerate(times):
            writer.write(make_result(index, {}, time=time))
    assert read(tmp_path / "a.mp4").times == [time - times[0] for time in times]


def test_times_that_repeat_or_lack_do_not_stop_the_video(tmp_path: Path, make_result: MakeResult) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index, time in enumerate([Fraction(1), Fraction(1), None, Fraction(1, 2), Fraction(3)]):
            writer.write(make_result(index, {}, time=time))
    times = read(tmp_path / "a.mp4").times
    assert len(times) == 5
    assert times[-1] == 2
    assert times == sorted(set(times))


def test_images_without_times_play_at_ten_per_second(tmp_path: Path, make_result: MakeResult) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in range(5):
            writer.write(make_result(index, {}))
    assert read(tmp_path / "a.mp4").rate == 10


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1), (3, 200)])
def test_odd_sizes_are_made_even(tmp_path: Path, make_result: MakeResult, size: tuple[int, int]) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in range(3):
            writer.write(make_result(index, {1: (0, 0, 1, 1)}, size=size))
    video = read(tmp_path / "a.mp4")
    assert video.size == (size[1] + size[1] % 2, size[0] + size[0] % 2)
    assert len(video.times) == 3


@pytest.mark.parametrize(
    "order",
    [
        list(range(29, -1, -1)),
        [*range(15, 30), *range(14, -1, -1)],
        [*range(20), *range(10, 30)],
        [3, 3, 1],
    ],
    ids=["backwards", "both ways", "done again", "short"],
)
@pytest.mark.parametrize("timed", [True, False])
def test_frames_are_in_order_whatever_order_they_came_in(
    tmp_path: Path, make_result: MakeResult, order: list[int], timed: bool
) -> None:
    with VideoWriter(tmp_path / "a.mp4", None if timed else NTSC) as writer:
        for index in order:
            writer.write(make_result(index, {}, time=index / NTSC if timed else None, shade=shade(index)))
    video, frames = read(tmp_path / "a.mp4"), sorted(set(order))
    assert follows(video.shades, frames)
    expected = [index - frames[0] if timed else place for place, index in enumerate(frames)]
    assert [time * NTSC for time in video.times] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_frame_done_again_shows_its_last_answer(tmp_path: Path, make_result: MakeResult) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in range(6):
            writer.write(make_result(index, {}, shade=50))
        writer.write(make_result(2, {}, shade=200))
    shades = read(tmp_path / "a.mp4").shades
    assert abs(shades.pop(2) - 200) <= 2
    assert max(shades) < 55


@pytest.mark.parametrize("order", [[0], [1, 0]], ids=["once", "encoded twice"])
def test_colors_come_back(tmp_path: Path, order: list[int]) -> None:
    image = np.zeros((64, 96, 3), dtype=np.uint8)
    patches = {0: (220, 30, 30), 32: (30, 200, 40), 64: (40, 60, 220)}
    for left, rgb in patches.items():
        image[:, left : left + 32] = rgb
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in order:
            writer.write(FrameResult(index, None, image))
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = list(container.decode(video=0))[-1]
    assert frame.colorspace == 1  # BT.709, so that players need not guess
    decoded = frame.reformat(format="rgb24", src_colorspace=1, dst_colorspace=1).to_ndarray()
    for left, rgb in patches.items():
        assert np.abs(decoded[32, left + 16].astype(int) - rgb).max() <= 8


def test_the_index_is_in_front(tmp_path: Path, make_result: MakeResult) -> None:
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in range(5):
            writer.write(make_result(index, {}))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data


def test_an_error_inside_with_still_completes_the_video(
    tmp_path: Path, make_result: MakeResult, feed: Feed
) -> None:
    results = [make_result(index, {}) for index in range(7)]
    with pytest.raises(RuntimeError, match="stop"):
        feed(VideoWriter(tmp_path / "a.mp4"), results, RuntimeError("stop"))
    assert len(read(tmp_path / "a.mp4").times) == 7


KILLED = """
import os, sys, numpy
from fractions import Fraction
from keepsight.export import VideoWriter
from keepsight.types import FrameResult
writer = VideoWriter(sys.argv[1], Fraction(25))
for index in range(30):
    writer.write(FrameResult(index, None, numpy.full((48, 64, 3), 20 + 5 * index, numpy.uint8), {}))
os._exit(9)
"""


def test_a_killed_process_leaves_a_video_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == 9
    shades = read(path).shades
    assert 10 <= len(shades) <= 30  # the rest was still in the encoder
    assert follows(shades, list(range(len(shades))))
    path.write_bytes(path.read_bytes()[:-100])
    assert len(read(path).shades) >= len(shades) - 2


def noisy(index: int) -> FrameResult:
    pixels = np.random.default_rng(index).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    return FrameResult(index, None, pixels, {})


def test_a_disk_that_fills_up_keeps_the_video_so_far(tmp_path: Path, full_disk: FullDisk, feed: Feed) -> None:
    path = tmp_path / "a.mp4"
    with full_disk(150_000), pytest.raises(OutputError, match=r"a\.mp4.*so far can be played"):
        feed(VideoWriter(path), map(noisy, range(100)))
    assert len(read(path).times) >= 3
    assert [left.name for left in tmp_path.iterdir()] == ["a.mp4"]


def test_no_room_for_closing_keeps_the_video(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk
) -> None:
    path = tmp_path / "a.mp4"
    writer = VideoWriter(path)
    for index in range(30):
        writer.write(make_result(index, {}, shade=shade(index)))
    with full_disk(100), pytest.raises(OutputError, match=r"a\.mp4"):
        writer.close()
    assert len(read(path).times) >= 10


def test_no_room_for_reordering_keeps_every_frame(tmp_path: Path, full_disk: FullDisk) -> None:
    writer = VideoWriter(tmp_path / "a.mp4")
    for index in (9, *range(9)):
        writer.write(noisy(index))
    with full_disk(60_000), pytest.raises(OutputError, match=r"out of order are in '.*a\.mp4\.frames'"):
        writer.close()
    left = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file()]
    assert sorted(left) == ["a.mp4", *(f"a.mp4.frames/{index:05d}.jpg" for index in range(9))]
    assert len(read(tmp_path / "a.mp4").times) == 1


def test_no_room_at_all_leaves_no_empty_file(
    tmp_path: Path, make_result: MakeResult, full_disk: FullDisk, feed: Feed
) -> None:
    with full_disk(10), pytest.raises(OutputError, match=r"a\.mp4"):
        feed(VideoWriter(tmp_path / "a.mp4"), [make_result(0, {})])
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_beside_frames_put_aside_stay(tmp_path: Path, make_result: MakeResult) -> None:
    mine = tmp_path / "a.mp4.frames" / "mine.jpg"
    mine.parent.mkdir()
    mine.write_text("mine")
    with VideoWriter(tmp_path / "a.mp4") as writer:
        for index in (1, 0):
            writer.write(make_result(index, {}))
    assert list(mine.parent.iterdir()) == [mine]


def test_bad_input_is_refused(tmp_path: Path, make_result: MakeResult) -> None:
    for rate in (Fraction(0), Fraction(-5), Fraction(2000)):
        with pytest.raises(UsageError, match="above 0 and at most 1000"):
            VideoWriter(tmp_path / "a.mp4", rate)
    with pytest.raises(OutputError, match="does not exist"), VideoWriter(tmp_path / "no" / "a.mp4") as writer:
        writer.write(make_result(0, {}))
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.write(make_result(0, {}))
        with pytest.raises(OutputError, match="64x48, but frame 1 is 63x48"):
            writer.write(make_result(1, {}, size=(48, 63)))
        writer.write(make_result(2, {}))
    writer.close()
    assert len(read(tmp_path / "a.mp4").times) == 2
    with pytest.raises(OutputError, match="closed"):
        writer.write(make_result(3, {}))


def test_no_results_make_no_video(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


PAGE = b"""
<html><body><video id="v" src="a.mp4" muted></video><script>
const v = document.getElementById("v");
const tell = what => fetch("/played", {method: "POST", body: JSON.stringify(what)});
v.onerror = () => tell({error: v.error.message});
v.onended = () => tell({width: v.videoWidth, height: v.videoHeight, duration: v.duration,
    time: v.currentTime, frames: v.getVideoPlaybackQuality().totalVideoFrames});
v.play().catch(error => tell({error: String(error)}));
</script></body></html>
"""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def served(files: dict[str, tuple[str, bytes]], told: Queue[bytes]) -> Iterator[str]:
    """A web server on this machine that serves the files and puts what pages post into the queue."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            told.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keeps the tests' output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium)")
def test_a_browser_plays_it_to_the_end(tmp_path: Path, make_result: MakeResult) -> None:
    with VideoWriter(tmp_path / "a.mp4", Fraction(25)) as writer:
        for index in range(25):
            writer.write(make_result(index, {}, size=(121, 161), shade=shade(index)))
    files = {"/": ("text/html", PAGE), "/a.mp4": ("video/mp4", (tmp_path / "a.mp4").read_bytes())}
    told: Queue[bytes] = Queue()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    flags += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={tmp_path / 'profile'}"]
    with served(files, told) as address:
        browser = subprocess.Popen([str(CHROMIUM), *flags, address], stderr=subprocess.DEVNULL)
        try:
            played = json.loads(told.get(timeout=60))
        finally:
            browser.terminate()
            browser.wait(timeout=30)
    assert (played["width"], played["height"], played["frames"]) == (162, 122, 25)
    assert played["duration"] == pytest.approx(1)
    assert played["time"] == pytest.approx(1)
