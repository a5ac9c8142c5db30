"""A real server in a process of its own and a page in a real browser, for tests of `keepsight annotate`."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from playwright.sync_api import ConsoleMessage, Page, expect

from keepsight.apps.cli.demo_clip import render_clip
from keepsight.shapes import cvat_rle
from keepsight.types import BoolArray

__all__ = ["CHROMIUM", "FLAGS", "FRAMES", "WIDE", "Clip", "Desk", "MakeDesk", "Server", "make_clip"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
DAVIS = Path("/work/shared/data/davis/val")
FRAMES = 32
WIDE = (1280, 720)
SECONDS = 60
PATIENCE = 1000.0 * SECONDS  # milliseconds, for a busy machine

# All that Chromium says of a server that was killed: of requests and of the WebSocket, refused or under way.
CUT_OFF = re.compile(
    r"Failed to load resource: net::ERR_"
    r"(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|CONTENT_LENGTH_MISMATCH) (?P<request>\S+)"
    r"|WebSocket connection to '(?P<socket>\S+)' failed: "
    r"(Error in connection establishment: net::ERR_CONNECTION_REFUSED"
    r"|Error during WebSocket handshake: net::ERR_CONNECTION_(RESET|CLOSED)"
    r"|Connection closed before receiving a handshake response)( \S+)?"
)


@dataclass(frozen=True)
class Clip:
    """A folder of images, and where its object truly is on each."""

    folder: Path
    truths: list[BoolArray]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.truths[0].shape
        return width, height

    def outside(self, frame: int = 0) -> tuple[int, int]:
        """A place x, y far from the object and from the frame's edges."""
        height, width = self.truths[frame].shape
        rows, columns = np.nonzero(self.truths[frame])
        places = [(x, y) for x in range(30, width - 30, 20) for y in range(30, height - 30, 20)]
        return max(places, key=lambda at: float(np.hypot(columns - at[0], rows - at[1]).min()))

    def inside(self, frame: int = 0) -> tuple[int, int]:
        """A place x, y well inside the object: as far from its border as can be found."""
        mask = np.pad(self.truths[frame], 1)
        while mask.sum() > 1:
            core = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
            if not core.any():
                break
            mask = np.pad(core, 1)
        rows, columns = np.nonzero(mask)
        return int(columns[0]) - 1, int(rows[0]) - 1


def make_clip(folder: Path, frames: int, sequence: str = "dog") -> Clip:
    """A sequence of DAVIS; where that is not, the rendered clip."""
    folder.mkdir()
    pictures = sorted((DAVIS / "JPEGImages" / "480p" / sequence).glob("*.jpg"))[:frames]
    truths = []
    for path in pictures:
        shutil.copy(path, folder)
        with Image.open(DAVIS / "Annotations" / "480p" / sequence / f"{path.stem}.png") as image:
            truths.append(np.asarray(image.convert("L")) > 127)
    if not pictures:
        for index, frame in enumerate(islice(render_clip(), frames)):
            Image.fromarray(frame.image).save(folder / f"{index:05d}.jpg", quality=90)
            truths.append(frame.truth)
    return Clip(folder, truths)


@dataclass
class Server:
    """`keepsight annotate` in a process of its own."""

    source: Path
    options: tuple[str, ...] = ()
    address: str = ""
    _process: "subprocess.Popen[str] | None" = None
    _errors: IO[str] | None = None

    def start(self) -> None:
        """Starts it, at the same port as before if it ran before, and waits until it takes requests."""
        port = self.address.rsplit(":", 1)[-1].strip("/") or "0"
        command = [sys.executable, "-m", "keepsight.apps.cli", "annotate", str(self.source)]
        errors = self.source.with_name(self.source.name + ".errors")
        self._errors = errors.open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [*command, "--port", port, "--no-browser", *self.options],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        for line in self._process.stdout or ():
            if found := re.search(r"is at (http://\S+)", line):
                self.address = found[1]
                return
        self._process.wait(timeout=SECONDS)
        raise AssertionError(f"The server did not start: {errors.read_text(encoding='utf-8')}")

    def end(self, how: int = signal.SIGTERM) -> None:
        """Ends it: politely, or (`SIGKILL`) in the middle of whatever it does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=SECONDS)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def get(self, path: str) -> Any:
        """What it answers to a GET, from JSON."""
        with urllib.request.urlopen(self.address + path, timeout=SECONDS) as answer:
            return json.load(answer)


@dataclass
class Desk:
    """The page, in a tab."""

    page: Page
    server: Server
    clip: Clip
    complaints: list[str] = field(default_factory=list)

    def open(self) -> "Desk":
        """Opens the page and waits for the first frame and the model."""
        self.page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(self.server.address)
        self.shows(0)
        expect(self.page.locator("#model")).to_have_attribute("data-state", "ready")
        return self

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "getImageData" not in message.text:
            self.complaints.append(f"{message.text} {message.location.get('url', '')}".strip())

    @contextmanager
    def without_server(self) -> Iterator[None]:
        """Kills the server for as long as a block lasts, and waits until the page is connected again.

        That the browser complains of connections that are cut off or refused meanwhile is as it should be.
        """
        before = len(self.complaints)
        self.server.end(signal.SIGKILL)
        expect(self.page.locator("#lost")).to_be_visible()
        yield
        self.server.start()
        expect(self.page.locator("#lost")).to_be_hidden()
        self.complaints[before:] = [line for line in self.complaints[before:] if not self._cut_off(line)]

    def _cut_off(self, complaint: str) -> bool:
        said = CUT_OFF.fullmatch(complaint)
        if said is None:
            return False
        address = said["request"] or said["socket"].replace("ws:", "http:", 1)
        return address.startswith(f"{self.server.address}api/")

    def was_refused(self, status: int, path: str) -> None:
        """Takes back the one complaint about a request that a test has made to be refused."""
        begins = f"Failed to load resource: the server responded with a status of {status} "
        ends = f" {self.server.address}{path}"
        [line] = [line for line in self.complaints if line.startswith(begins) and line.endswith(ends)]
        self.complaints.remove(line)

    def shows(self, frame: int) -> None:
        """Waits until a frame is on the canvas."""
        expect(self.page.locator("#picture")).to_have_attribute("data-frame", str(frame))

    def go(self, frame: int) -> None:
        """Jumps to a frame by its number."""
        self.page.keyboard.press("g")
        self.page.keyboard.type(str(frame))
        self.page.keyboard.press("Enter")
        self.page.locator("#stage").focus()
        self.shows(frame)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the frame is, while the frame is fitted."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        width, height = self.clip.size
        scale = min(box["width"] / width, box["height"] / height)
        left = box["x"] + (box["width"] - width * scale) / 2
        top = box["y"] + (box["height"] - height * scale) / 2
        return left + x * scale, top + y * scale

    def click(self, x: float, y: float, *, right: bool = False, key: str | None = None) -> None:
        """Clicks a place of the frame, perhaps with a key held."""
        if key:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.place(x, y), button="right" if right else "left")
        if key:
            self.page.keyboard.up(key)

    def drag(self, *places: tuple[float, float]) -> None:
        """Draws with the left button from place to place of the frame."""
        first, *rest = (self.place(*each) for each in places)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for each in rest:
            self.page.mouse.move(*each, steps=4)
        self.page.mouse.up()

    def pixel(self, x: float, y: float) -> tuple[int, ...]:
        """The colour on the canvas at a place of the frame."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        seen_x, seen_y = self.place(x, y)
        said = self.page.evaluate(
            """([x, y]) => {
                const canvas = document.querySelector("#picture");
                const place = [x, y].map((value) => Math.floor(value * devicePixelRatio));
                return [...canvas.getContext("2d").getImageData(...place, 1, 1).data];
            }""",
            [seen_x - box["x"], seen_y - box["y"]],
        )
        return tuple(int(value) for value in said[:3])

    @property
    def scale(self) -> float:
        """CSS pixels for a pixel of the frame."""
        return float(self.page.locator("#picture").get_attribute("data-scale") or 0)

    def until(self, holds: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Waits until something holds, while the page goes on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if holds():
                return
            self.page.wait_for_timeout(30)
        raise AssertionError(f"Waited {seconds} s in vain until {what}.")

    def says(self, sentence: str) -> None:
        """Waits for a message that holds a sentence, and closes it."""
        toast = self.page.locator(".toast").filter(has_text=sentence)
        expect(toast).to_be_visible()
        toast.get_by_role("button").click()

    def point(self) -> None:
        """Clicks the clip's object and waits for the answer."""
        self.click(*self.clip.inside())
        self.until(lambda: bool(self.project["objects"]) and self.shape(0) is not None, "there is a mask")

    def triangle(self) -> None:
        """Draws a polygon of three corners and waits until it is kept."""
        self.page.keyboard.press("p")
        for corner in ((60, 60), (160, 60), (110, 130)):
            self.click(*corner)
        self.page.keyboard.press("Enter")
        self.until(lambda: bool(self.project["objects"]) and self.shape(0) is not None, "it is there")

    def run(
        self, target: int, *, direction: str | None = None, scope: str | None = None, wait: bool = True
    ) -> None:
        """Ctrl+E to a target frame, with everything else as the dialog offers it."""
        self.page.keyboard.press("Control+e")
        for name, value in (("direction", direction), ("scope", scope)):
            if value:
                self.page.locator(f"input[name={name}][value={value}]").check(force=True)
        self.page.locator("#run-target").fill(str(target))
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#run-dialog")).to_be_hidden()
        if wait:
            self.finish()

    def finish(self) -> None:
        """Waits until no run is going on."""
        self.until(lambda: self.project["run"] is None, "the run is done", 4 * SECONDS)
        expect(self.page.locator("#run-strip")).to_be_hidden()

    @property
    def project(self) -> Any:
        """What the server says of the project."""
        return self.server.get("api/project")

    def shown(self, frame: int) -> set[int]:
        """The objects that the server sees on a frame."""
        return {shape["object"] for shape in self.server.get(f"api/shapes/{frame}")["shapes"]}

    def shape(self, frame: int, number: int = 1) -> Any:
        """What the server says an object is on a frame; None if it is not there."""
        shapes = self.server.get(f"api/shapes/{frame}")["shapes"]
        return next((shape for shape in shapes if shape["object"] == number), None)

    def sources(self, number: int = 1) -> dict[int, str]:
        """By whom an object's shapes were made: frame to a(uto), m(anual) or p(rompted)."""
        rows = self.server.get("api/timeline")["objects"]
        row = next(row for row in rows if row["object"] == number)
        return dict(zip(row["frames"], row["source"], strict=True))

    def mask(self, frame: int, number: int = 1) -> BoolArray:
        """An object's mask on a frame."""
        width, height = self.clip.size
        return cvat_rle.decode(self.shape(frame, number)["points"], height, width)


MakeDesk = Callable[..., Desk]
"""Opens the page in another tab: size in CSS pixels, and whether fingers touch it."""
