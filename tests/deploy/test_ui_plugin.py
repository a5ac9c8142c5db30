"""The plugin of CVAT's user interface. What needs Node.js runs in a copy of its folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "cvat" / "ui-plugin"
SOURCES = sorted(FOLDER.glob("src/**/*.ts*"))
OURS = [*SOURCES, *sorted(FOLDER.glob("test/**/*.ts")), *sorted(FOLDER.glob("types/*.ts"))]
LONGEST, WIDEST = 400, 110  # lines, columns
OLDEST_NODE = 20
SECONDS = 240
# What npm says when it cannot reach the registry, as opposed to not finding there what the lock file names.
UNREACHABLE = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|E(SOCKET)?TIMEDOUT)\b")
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


def npm(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    executable = shutil.which("npm", path=environment["PATH"])
    return subprocess.run(
        [str(executable), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return environment_with_node()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A copy of the folder with what its lock file names."""
    copy = tmp_path_factory.mktemp("plugin") / "keepsight"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("node_modules"))
    patience = ["--fetch-retries=4", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=20000"]
    done = npm(["ci", "--ignore-scripts", "--prefer-offline", *patience], copy, environment)
    output = done.stdout + done.stderr
    if done.returncode != 0 and (unreachable := UNREACHABLE.search(output)):
        give_up(f"The npm registry cannot be reached: {unreachable[0]}.")
    assert done.returncode == 0, output
    return copy


@pytest.mark.slow
def test_its_types_hold(installed: Path, environment: dict[str, str]) -> None:
    done = npm(["run", "check"], installed, environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_type_check_would_notice(installed: Path, environment: dict[str, str]) -> None:
    wrong = installed / "src" / "ts" / "wrong.ts"
    wrong.write_text("export const frame: number = 'one';\n")
    try:
        done = npm(["run", "check"], installed, environment)
    finally:
        wrong.unlink()
    assert done.returncode != 0
    assert "wrong.ts" in done.stdout


def test_its_unit_tests_pass(installed: Path, environment: dict[str, str]) -> None:
    done = npm(["test"], installed, environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    counts = dict(re.findall(r"^(?:#|ℹ) (pass|fail|skipped|todo) (\d+)$", done.stdout, re.MULTILINE))
    assert int(counts["pass"]) > 0
    assert {counts[name] for name in ("fail", "skipped", "todo")} == {"0"}


def test_cvat_enters_it_where_it_looks() -> None:
    assert (FOLDER / "src" / "ts" / "index.tsx").is_file()
    compose = yaml.safe_load((FOLDER / "docker-compose.ui-plugin.yml").read_text())
    place = compose["services"]["cvat_ui"]["build"]["args"]["CLIENT_PLUGINS"]  # from cvat-ui/ on
    assert f"cvat-ui/{place}" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_it_needs_nothing_that_cvat_does_not_have(source: Path) -> None:
    # CVAT's build installs nothing for a plugin.
    assert "dependencies" not in json.loads((FOLDER / "package.json").read_text())
    for module in re.findall(r"from '([^']+)'", source.read_text()):
        assert module == "cvat-core-wrapper" or (source.parent / f"{module}.ts").is_file()


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


def test_its_tests_know_the_function_as_it_is_deployed() -> None:
    function = yaml.safe_load((FOLDER.parent / "function.yaml").read_text())["metadata"]
    double = (FOLDER / "test" / "fake" / "core.ts").read_text()
    kinds = ", ".join(f"'{kind}'" for kind in function["annotations"]["supported_shape_types"].split(", "))
    assert f"id: '{function['name']}'" in double
    assert f"name: '{function['annotations']['name']}'" in double
    assert f"supportedShapeTypes: [{kinds}]" in double


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_the_house_rules_for_length(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert len(lines) <= LONGEST
    assert [line for line in lines if len(line) > WIDEST] == []
