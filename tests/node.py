"""Node.js and npm, for the tests of what is written in JavaScript and TypeScript."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["environment_with_node", "give_up", "install", "run"]

OLDEST_NODE = 20
SECONDS = 240
# What npm says when it cannot reach the registry, as opposed to not finding there what the lock file names.
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|E(SOCKET)?TIMEDOUT)\b")
PATIENCE = ("--fetch-retries=4", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=20000")
IS_CI = os.environ.get("CI") == "true"


def give_up(reason: str) -> NoReturn:
    """Skips, except in CI, where these tests must run."""
    if IS_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def environment_with_node() -> dict[str, str]:
    """This process' environment with a new enough Node.js first in its PATH; the wheel's if it is there."""
    for folder in [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)]:
        environment = {**os.environ, "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}
        if shutil.which("node", path=folder) and shutil.which("npm", path=folder):
            said = subprocess.run(
                [Path(folder) / "node", "--version"], capture_output=True, text=True, check=False
            )
            found = re.match(r"v(\d+)", said.stdout)
            if found and int(found[1]) >= OLDEST_NODE:
                return environment
    give_up(f"Node.js {OLDEST_NODE} or later, with npm, is not to be had.")


def run(
    program: str,
    arguments: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    *,
    said: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs `node` or `npm` of an environment in a folder, to its end; `said` is its standard input."""
    executable = shutil.which(program, path=environment["PATH"])
    return subprocess.run(
        [str(executable), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        input=said or "",
    )


def install(folder: Path, environment: dict[str, str]) -> None:
    """Installs what the folder's lock file names."""
    done = run("npm", ["ci", "--ignore-scripts", "--prefer-offline", *PATIENCE], folder, environment)
    output = done.stdout + done.stderr
    if done.returncode != 0 and (unreachable := UNREACHABLE.search(output)):
        give_up(f"The npm registry cannot be reached: {unreachable[0]}.")
    assert done.returncode == 0, output
