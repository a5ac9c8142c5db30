"""Fixtures of the tests in a browser: a clip, a server on it, pages."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.apps.annotator.page.desk import CHROMIUM, FLAGS, FRAMES, WIDE, Clip, Desk, Server, make_clip


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def clip(tmp_path: Path, request: pytest.FixtureRequest) -> Clip:
    """An easy clip, or the one that a test is parametrised with."""
    return make_clip(tmp_path / "clip", FRAMES, getattr(request, "param", "dog"))


@pytest.fixture
def server(clip: Clip) -> Iterator[Server]:
    server = Server(clip.folder)
    server.start()
    yield server
    server.end(signal.SIGKILL)


@pytest.fixture
def make_desk(browser: Browser, server: Server, clip: Clip) -> Iterator[Callable[..., Desk]]:
    """Opens the page in a tab of a size; at the end, no page may have complained."""
    opened: list[Desk] = []

    def make(size: tuple[int, int] = WIDE, *, touch: bool = False) -> Desk:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=touch, is_mobile=touch
        )
        opened.append(Desk(context.new_page(), server, clip))
        return opened[-1]

    yield make
    for desk in opened:
        desk.page.unroute_all(behavior="ignoreErrors")  # what is on its way when a test ends fails no other
        desk.page.context.close()
    complaints = [line for desk in opened for line in desk.complaints]
    assert not complaints, "\n".join(["The page complained:", *complaints])


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk().open()
