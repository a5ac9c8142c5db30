"""`keepsight annotate` as a process of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

__all__ = ["Server", "command", "running", "wait_for"]

PATIENCE = 90.0


def command(*arguments: object) -> list[str]:
    """`keepsight annotate` with arguments."""
    return [sys.executable, "-m", "keepsight.apps.cli", "annotate", *map(str, arguments)]


class Server:
    """A running server and a client of it.

    Attributes:
        address: of its page, with the token if it has one.
        client: asks it.
        said: its first lines.
    """

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            command(*arguments, "--port", 0, "--no-browser"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.said = first + self.process.stdout.readline()
        found = re.search(r" is at (http://\S+)", first)
        assert found, first + self.process.stdout.read()
        self.address = found[1]
        self.client = httpx.Client(base_url=self.address.partition("?")[0], timeout=60)

    def project(self) -> Any:
        """What /api/project says."""
        return self.client.get("/api/project").json()

    def ready(self) -> None:
        """Waits for the model."""
        wait_for(lambda: self.project()["model"]["state"] != "loading")
        assert self.project()["model"]["state"] == "ready", self.project()["model"]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; the exit code."""
        self.client.close()
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        self.process.stdout.close()
        return code


@contextmanager
def running(*arguments: object) -> Iterator[Server]:
    """A server that is gone afterwards."""
    server = Server(*arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def wait_for(there: Any) -> None:
    """Waits until something is so."""
    until = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def clip_at(path: Path, frames: int = 40) -> Path:
    """The demo's rendered clip as a video file."""
    from keepsight.apps.cli.demo_clip import render_clip, write_clip

    write_clip(path, render_clip(frames))
    return path
