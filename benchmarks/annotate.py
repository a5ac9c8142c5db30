"""How `keepsight annotate` feels: time to the page, click to mask, scrubbing, a run beside `VideoTracker`.

    python -m benchmarks.annotate --model pocket

A server of its own process is asked over HTTP as the page asks it, on 1,000 frames of 854 x 480. The run and
the tracker alone take turns in one process, on the same frames; their processor time is compared too, since
it depends less on what else the machine does. With --long 2000, a run over so many frames follows, whose page
shows every frame, and the server's memory on the way.
"""

import argparse
import json
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

import keepsight as ks
from benchmarks.cvat_request import Clock
from benchmarks.memory import CLIP, resident_mib
from keepsight.apps.annotator.clip import Clip
from keepsight.apps.annotator.project import Fingerprint, RunSpec, open_project
from keepsight.apps.annotator.run import Running
from keepsight.apps.annotator.runs import Runs
from keepsight.apps.annotator.studio import Studio
from keepsight.export import VideoWriter
from keepsight.video import open_source

SIZE = (854, 480)
FRAMES = 1000
CLICK = (430.0, 260.0)
RUN = 40
TURNS = 4


def write_clip(path: Path, frames: int = FRAMES) -> None:
    """The clip there and back again, until there are enough frames."""
    with open_source(str(CLIP)) as source:
        images = [cv2.resize(frame.image, SIZE, interpolation=cv2.INTER_AREA) for frame in source]
    there_and_back = cycle([*images, *images[-2:0:-1]])

    def plain(result: ks.FrameResult) -> Any:
        return result.image

    with VideoWriter(path, rate=Fraction(25), draw=plain) as writer:
        for index, image in enumerate(islice(there_and_back, frames)):
            writer.write(ks.FrameResult(index, None, np.asarray(image, np.uint8)))


class Server:
    """The command in a process of its own."""

    def __init__(self, clip: Path, model: str) -> None:
        self.began = time.perf_counter()
        words = ["annotate", str(clip), "--port", "0", "--no-browser", "--model", model]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "keepsight.apps.cli", *words], stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline() if self.process.stdout else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(f"The server did not start: {line}")
        self.client = httpx.Client(base_url=found[0], timeout=120)

    def get(self, path: str) -> httpx.Response:
        """Asks, and insists on an answer."""
        return self.client.get(path).raise_for_status()

    def post(self, path: str, body: Any) -> Any:
        """Sends, and insists on an answer."""
        return self.client.post(path, json=body).raise_for_status().json()

    def resident_mib(self) -> float:
        """Its resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return int(found[1]) / 1024 if found else float("nan")

    def stop(self) -> None:
        """Ends it in order."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def time_to_page(server: Server) -> float:
    """Seconds from the start of the process until all that a page asks for at first is there."""
    page = server.get("/").text
    for script in re.findall(r'(?:src|href)="(/page/[^"]+)"', page):
        server.get(script)
    project = server.get("/api/project").json()
    server.get(f"/api/frames/0.jpg?v={project['source']['fingerprint']}")
    server.get("/api/timeline")
    server.get("/api/shapes?start=0&stop=1")
    return time.perf_counter() - server.began


def clicks(server: Server, count: int) -> list[float]:
    """Milliseconds from a click on a frame never seen before to its mask."""
    while server.get("/api/project").json()["model"]["state"] == "loading":
        time.sleep(0.1)
    taken = []
    for number in range(count + 1):
        made = server.post("/api/objects", {"kind": "mask"})["object"]["id"]
        frame = 29 * number % FRAMES
        server.get(f"/api/frames/{frame}.jpg")
        began = time.perf_counter()
        body = {"frame": frame, "points": [CLICK], "labels": [1]}
        server.post(f"/api/objects/{made}/prompt", body)
        taken.append(1000 * (time.perf_counter() - began))
    return taken[1:]  # the first one opens the video and warms the network up


def scrubbing(server: Server, frames: range) -> float:
    """Frames per second, asked for one after the other."""
    version = server.get("/api/project").json()["source"]["fingerprint"]
    began = time.perf_counter()
    for frame in frames:
        server.get(f"/api/frames/{frame}.jpg?v={version}")
    return len(frames) / (time.perf_counter() - began)


def long_run(clip: Path, model: str, frames: int) -> dict[int, float]:
    """The server's resident MiB during a run of one object, by frame, ten times in all."""
    server = Server(clip, model)
    try:
        clicks(server, 1)
        spec = {"objects": [1], "frame": 0, "target": frames - 1}
        server.post("/api/run", spec)
        resident = dict[int, float]()
        while (run := server.get("/api/project").json()["run"]) is not None:
            now = run["frame_now"] or 0
            server.get(f"/api/frames/{now}.jpg")
            if now >= len(resident) * frames // 10:
                resident[now] = server.resident_mib()
            time.sleep(0.02)
    finally:
        server.stop()
    return resident


def beside_tracker(clip: Path, folder: Path, model: str) -> dict[str, float]:
    """A run's seconds a frame, and `VideoTracker`'s; by the clock and by the processor's.

    They take turns, each in a process of its own: PyTorch keeps threads for every thread that computes.
    """
    context = multiprocessing.get_context("spawn")
    rows: dict[str, list[tuple[float, float]]] = {"tracker": [], "run": []}
    with context.Pool(1) as alone, context.Pool(1) as studio:
        for _ in range(TURNS):
            rows["tracker"].append(alone.apply(_tracker_turn, (clip, model)))
            rows["run"].append(studio.apply(_run_turn, (clip, folder, model)))
        resident, own = studio.apply(resident_mib), studio.apply(_own_seconds)
        studio.apply(_end)
    row = {
        f"{name}_{what}": min(taken[i] for taken in rows[name])
        for name in rows
        for i, what in enumerate(("s", "cpu_s"))
    }
    return {**row, "own_s": own / (TURNS * RUN), "resident_mib": resident}


@cache
def _network(model: str) -> Any:
    return ks.load_model(model, device="cpu")


@cache
def _studio(clip: Path, folder: Path, model: str) -> Studio:
    """A studio with one object, clicked; events are written as they are for a page."""
    for owner, method in ((Running, "_write"), (Runs, "_tell_of")):
        setattr(owner, method, _CLOCK.timing(getattr(owner, method)))
    info = open_source(str(clip)).info
    project = open_project(folder / "run.keepsight", Fingerprint(FRAMES, *SIZE, 0), clip)
    opened = Clip(info, FRAMES, partial(open_source, str(clip)))
    studio = Studio(project, opened, lambda name: _network(model))
    studio.start()

    def write(event: dict[str, Any]) -> None:
        json.dumps(event)

    studio.listen(write)
    while studio.worker.model.state != "ready":
        time.sleep(0.01)
    subject, _ = studio.add_subject("mask")
    studio.prompt(subject.id, 0, [CLICK], [1], None)
    _OPENED.append(studio)
    return studio


_OPENED: list[Studio] = []  # in the process that runs
_CLOCK = Clock()  # what a run does beside tracking: shapes, the project file, events


def _own_seconds() -> float:
    return _CLOCK.seconds


def _end() -> None:
    for studio in _OPENED:
        studio.close()


def _tracker_turn(clip: Path, model: str) -> tuple[float, float]:
    return _timed(_track(clip, _network(model)))


def _run_turn(clip: Path, folder: Path, model: str) -> tuple[float, float]:
    studio = _studio(clip, folder, model)
    taken = _timed(_run(studio, 1))
    studio.undo()
    return taken


def _track(clip: Path, network: Any) -> Iterator[None]:
    with ks.VideoTracker(str(clip), model=network, undo_depth=0) as tracker:
        tracker.prompt(0, 1, points=[CLICK])
        for _ in tracker.propagate(1, RUN + 1):
            yield


def _run(studio: Studio, number: int) -> Iterator[None]:
    ended = threading.Event()

    def listen(event: dict[str, Any]) -> None:
        if event["type"] == "run" and event["run"]["state"] != "running":
            ended.set()

    stop = studio.listen(listen)
    studio.begin_run(RunSpec((number,), 0, RUN, "forward", "", "", False))
    ended.wait()
    stop()
    yield


def _timed(work: Iterator[None]) -> tuple[float, float]:
    """Seconds a frame, by the clock and by the processor's."""
    began, began_cpu = time.perf_counter(), time.process_time()
    for _ in work:
        pass
    return (time.perf_counter() - began) / RUN, (time.process_time() - began_cpu) / RUN


def over_http(clip: Path, model: str, count: int) -> dict[str, float]:
    """What a page feels, with one server."""
    pages = []
    for _ in range(TURNS):
        server = Server(clip, model)
        pages.append(time_to_page(server))
        server.stop()
    server = Server(clip, model)
    try:
        row = {"page_s": min(pages)}
        taken = clicks(server, count)
        row |= {"click_ms": statistics.median(taken), "click_worst_ms": max(taken)}
        row["resident_after_clicks_mib"] = server.resident_mib()
        row["scrubbing_fps"] = scrubbing(server, range(FRAMES))
        row["resident_after_scrubbing_mib"] = server.resident_mib()
    finally:
        server.stop()
    for what, frames in (("back", range(FRAMES - 1, -1, -1)), ("tenth", range(0, FRAMES, 10))):
        server = Server(clip, model)  # another one, which has no frames ready yet
        row[f"scrubbing_{what}_fps"] = scrubbing(server, frames)
        server.stop()
    return row


def main() -> None:
    """Prints the figures, as sentences and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--clicks", type=int, default=20)
    parser.add_argument("--long", type=int, metavar="FRAMES", help="of a long run; none when left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        memory = dict[int, float]()
        row = over_http(clip, options.model, options.clicks)
        row |= beside_tracker(clip, Path(folder), options.model)
        if options.long:
            write_clip(clip, options.long)
            clip.with_name("clip.mp4.keepsight").unlink()
            memory = long_run(clip, options.model, options.long)
    overhead = {what: row[f"run_{what}"] / row[f"tracker_{what}"] - 1 for what in ("s", "cpu_s")}
    print(f"page there after {row['page_s']:.2f} s (the best of {TURNS} starts)")
    print(f"click to mask: {row['click_ms']:.0f} ms median, {row['click_worst_ms']:.0f} ms at most")
    print(
        f"scrubbing {FRAMES} frames: {row['scrubbing_fps']:.0f} frames/s forward, "
        f"{row['scrubbing_back_fps']:.0f} backward, {row['scrubbing_tenth_fps']:.0f} every tenth"
    )
    print(
        f"run: {1000 * row['run_s']:.0f} ms a frame, VideoTracker alone {1000 * row['tracker_s']:.0f} ms: "
        f"{100 * overhead['s']:+.1f} % by the clock, {100 * overhead['cpu_s']:+.1f} % of processor time; "
        f"{1000 * row['own_s']:.1f} ms of it are the run's own"
    )
    print(
        f"resident: {row['resident_after_clicks_mib']:.0f} MiB after the clicks, "
        f"{row['resident_after_scrubbing_mib']:.0f} after scrubbing"
    )
    if options.long:
        print("resident during a long run, MiB by frame:", *(f"{f}:{mib:.0f}" for f, mib in memory.items()))
    loads = os.getloadavg()
    print(json.dumps({"model": options.model, "load": loads[0], **row}))


if __name__ == "__main__":
    main()
