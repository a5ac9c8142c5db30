"""How the page of `keepsight annotate` feels in a browser: first frame, click to mask, scrubbing, playing.

    python -m benchmarks.annotate_page clip.mp4

A server in a process of its own with a new project, and Chromium without a GPU: everything is drawn by
the processor. Figures are wall clock: other programs on the machine count.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
SECONDS = 8  # that are scrubbed
HELD = 200  # frames that F is held for
CLICKS = 9
# By the page's own clock; the first frame is the last thing that is fetched for it.
LOADED = """() => {
    const fetched = performance.getEntriesByType("resource");
    const first = fetched.filter((each) => /frames.0.jpg|shapes.0$/.test(each.name));
    const shown = Math.max(...first.map((each) => each.responseEnd));
    return [performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd, shown];
}"""
WATCH = """() => {
    const picture = document.querySelector("#picture");
    window.drawn = [];
    const watcher = new MutationObserver(() => drawn.push(performance.now()));
    watcher.observe(picture, {attributeFilter: ["data-frame"]});
}"""
# A click until the pixel under it has another colour, by the page's own clock.
CLICK = """([x, y]) => new Promise((resolve) => {
    const stage = document.querySelector("#stage");
    const context = document.querySelector("#picture").getContext("2d");
    const {left, top} = stage.getBoundingClientRect();
    const place = [x - left, y - top].map((value) => value * devicePixelRatio);
    const look = () => [...context.getImageData(...place, 1, 1).data];
    const before = String(look());
    const start = performance.now();
    const options = {clientX: x, clientY: y, pointerId: 1, pointerType: "mouse", bubbles: true};
    stage.setPointerCapture = () => {};
    stage.dispatchEvent(new PointerEvent("pointerdown", options));
    stage.dispatchEvent(new PointerEvent("pointerup", options));
    const wait = () => String(look()) === before && performance.now() - start < 20000
        ? requestAnimationFrame(wait) : resolve(performance.now() - start);
    requestAnimationFrame(wait);
})"""


@contextmanager
def served(source: Path, project: Path) -> Iterator[str]:
    """The address of a server on a video."""
    command = [sys.executable, "-m", "keepsight.apps.cli", "annotate", str(source), "--project", str(project)]
    options = ["--port", "0", "--no-browser", "--allow", str(source.parent), "--allow", str(project.parent)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if found := re.search(r"is at (http://\S+)", line):
                    yield found[1]
                    break
        finally:
            process.terminate()


def frames_a_second(page: Page) -> str:
    """How many frames were drawn since this was asked last, a second."""
    times = page.evaluate("drawn.splice(0)")
    if len(times) < 2:
        return "none"
    gaps = [after - before for before, after in pairwise(times)]
    return (
        f"{1000 * len(gaps) / sum(gaps):.1f} frames/s, median gap {statistics.median(gaps):.0f} ms, "
        f"95 % below {sorted(gaps)[int(0.95 * len(gaps))]:.0f} ms"
    )


def click_to_mask(page: Page) -> list[float]:
    """Milliseconds from clicks at the middle of frames until their masks are seen, objects of their own."""
    box = page.locator("#stage").bounding_box()
    if box is None:
        raise SystemExit("The page has no stage.")
    page.wait_for_selector("#model[data-state=ready]")
    took = []
    for turn in range(CLICKS):
        page.keyboard.press("n")
        place = [box["x"] + box["width"] * (0.3 + 0.05 * turn), box["y"] + box["height"] * 0.5]
        took.append(float(page.evaluate(CLICK, place)))
        page.keyboard.press("v")
        page.wait_for_timeout(1000)
    return took


def scrub(page: Page) -> None:
    """Draws along the whole timeline with the mouse."""
    box = page.locator("#ruler").bounding_box()
    if box is None:
        raise SystemExit("The page has no timeline.")
    page.mouse.move(box["x"] + 1, box["y"] + 10)
    page.mouse.down()
    start = time.monotonic()
    while (part := (time.monotonic() - start) / SECONDS) < 1:
        page.mouse.move(box["x"] + 1 + part * (box["width"] - 18), box["y"] + 10)
        time.sleep(0.008)
    page.mouse.up()


def hold(page: Page) -> None:
    """Holds F, as a keyboard repeats it."""
    start = time.monotonic()
    for number in range(HELD):
        page.keyboard.press("f")
        time.sleep(max(0.0, start + (number + 1) / 30 - time.monotonic()))


def measure(page: Page, address: str) -> None:
    """Prints every figure."""
    page.goto(address)
    page.wait_for_selector("#picture[data-frame='0']")
    ready, shown = page.evaluate(LOADED)
    print(f"page                  {ready:.0f} ms until it can be used, {shown:.0f} ms until the first frame")
    page.evaluate(WATCH)
    took = click_to_mask(page)
    print(f"click to mask         {statistics.median(took):.0f} ms median, {max(took):.0f} ms at most")
    for name, action in (("scrubbing, first time", scrub), ("scrubbing again", scrub), ("F held", hold)):
        page.keyboard.press("Home")
        page.wait_for_timeout(1500)
        page.evaluate("drawn.splice(0)")
        action(page)
        page.wait_for_timeout(300)
        print(f"{name:21} {frames_a_second(page)}")
    page.keyboard.press("Home")
    page.wait_for_timeout(1500)
    page.evaluate("drawn.splice(0)")
    page.keyboard.press("Space")
    page.wait_for_timeout(1000 * SECONDS)
    page.keyboard.press("Space")
    print(f"playing               {frames_a_second(page)}")


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a video, best with 1,000 frames or more")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        # The browser is there before the server, as on a desk.
        browser = playwright.chromium.launch(executable_path=told.chromium, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(120_000)
        with served(told.source.absolute(), Path(folder) / "project.keepsight") as address:
            measure(page, address)
        browser.close()


if __name__ == "__main__":
    main()
