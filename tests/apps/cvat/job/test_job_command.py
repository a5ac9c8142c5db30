"""The command as it is typed: exit codes, what is said, Ctrl-C; with the embedded model."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import typer

from keepsight.apps.cvat.command import add_to
from tests.apps.cvat.job.conftest import SIZE, box, drawn
from tests.apps.cvat.job.cvat_server import CvatServer, RefusedError
from tests.apps.cvat.job.plain import exported_video, imported

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C as at a terminal; a process that was started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Types a command line: exit code, output, errors."""
    torch.set_num_threads(1)

    def called(*words: object) -> tuple[int, str, str]:
        app = typer.Typer(add_completion=False)
        add_to(app)
        with pytest.raises(SystemExit) as left:
            app(["cvat", "track", *map(str, words)], prog_name="keepsight")
        code = left.value.code
        assert isinstance(code, int)
        return (code, *capfd.readouterr())

    return called


@pytest.fixture
def job(server: CvatServer) -> tuple[object, ...]:
    """The options that name the server's job, on which a box is drawn."""
    server.put(shapes=[drawn("rectangle", 2), drawn("mask", 3)])
    return ("--server-host", server.url, "--job", 7, "--start-frame", 0, "--device", "cpu")


@pytest.fixture
def files(images: Path, tmp_path: Path) -> tuple[object, ...]:
    """The options that name a file of the same."""
    source = tmp_path / "in.xml"
    one = {"label": "dog", "kind": "rectangle", "frame": 0, "points": box(2, 0)}
    source.write_bytes(exported_video([one], SIZE))
    return ("--annotations", source, "--video", images, "--start-frame", 0, "--device", "cpu")


def test_a_run_says_what_it_did(call: Call, server: CvatServer, job: tuple[object, ...]) -> None:
    code, out, err = call(*job, "--target-frame", 3)
    assert code == 0, err
    assert "shape 101 (dog)" in out
    assert "shapes, group 1" in out
    assert "1 new track, 3 new shapes, 1 changed shape, 1 deleted shape" in out
    assert f"{server.url}/tasks/42/jobs/7" in out
    (made,) = server.read()["tracks"]
    assert [k["frame"] for k in made["shapes"]] == [0, 1, 2, 3, 4]
    code, out, _ = call(*job, "--target-frame", 3)
    assert (code, "Nothing had to be changed" in out) == (0, True)


def test_a_dry_run_lists_what_would_be_done(call: Call, server: CvatServer, job: tuple[object, ...]) -> None:
    before = server.read()
    code, out, err = call(*job, "--dry-run")
    assert (code, err) == (0, "")
    assert "9 (1 to 9)" in out
    assert "Nothing was tracked or written" in out
    assert server.read() == before


def test_files_need_no_server(call: Call, files: tuple[object, ...], tmp_path: Path) -> None:
    code, out, err = call(*files, "--target-frame", 3, "--output", tmp_path / "out.xml")
    assert code == 0, err
    assert "out.xml" in out
    (track,), _ = imported((tmp_path / "out.xml").read_bytes())
    assert [k["frame"] for k in track["keyframes"]] == [0, 1, 2, 3, 4]
    code, _, err = call(*files, "--output", tmp_path / "out.xml")
    assert code == 1
    assert "exists" in err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--target-frame", 0], 2, "before or after frame 0"),
        (["--target-frame", 99], 1, "frames 0 to 9"),
        (["--target-frame", "soon"], 2, "--target-frame"),
        (["--label", "cat"], 1, "--label cat"),
        (["--id", "99"], 1, "--id 99"),
        (["--task", 3], 2, "Expected one job"),
        (["--policy", "psychic"], 2, "psychic"),
        (["--model", "nonesuch.pt"], 1, "nonesuch.pt"),
        (["--nonesuch"], 2, "nonesuch"),
        (["--auth", "ann:wrong"], 1, "user and password"),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    call: Call, server: CvatServer, job: tuple[object, ...], words: list[object], code: int, says: str
) -> None:
    before = server.read()
    left, _, err = call(*job, *words)
    assert left == code
    assert says in err
    assert "Traceback" not in err
    assert server.read() == before


def test_nobody_to_ask_for_a_password(
    call: Call, server: CvatServer, job: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    monkeypatch.setattr("getpass.getpass", nobody)
    code, _, err = call(*job, "--auth", "ann")
    assert code == 2
    assert "nobody to ask" in err


def test_without_the_sdk_a_server_cannot_be_asked(
    call: Call, server: CvatServer, job: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cvat_sdk.core.auth", None)
    code, _, err = call(*job)
    assert code == 2
    assert "pip install 'keepsight[cvat]'" in err


def test_ctrl_c_while_tracking_writes_nothing(
    call: Call, server: CvatServer, job: tuple[object, ...]
) -> None:
    before = server.read()

    def press(method: str, path: str) -> None:
        if path.endswith("/data") and len(server.fetched) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    server.before = press
    code, _, err = call(*job)
    assert code == 130
    assert "Stopped by Ctrl-C. Nothing was written." in err
    assert (server.read(), server.patches) == (before, [])


def test_one_ctrl_c_while_writing_lets_it_finish(
    call: Call, server: CvatServer, job: tuple[object, ...]
) -> None:
    server.before = lambda method, path: (
        os.kill(os.getpid(), signal.SIGINT) if _first(server, method) else None
    )
    code, out, err = call(*job, "--target-frame", 2)
    assert code == 0
    assert "better finished" in err
    assert "Written" in out
    assert server.patches == ["create", "update", "delete"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_while_writing_take_back_what_was_written(
    call: Call, server: CvatServer, job: tuple[object, ...]
) -> None:
    before = server.read()
    heeded = threading.Event()

    def press_twice(method: str, path: str) -> None:
        if method == "PATCH" and server.patches == ["create"] and not heeded.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            while signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                pass  # until the first one was heeded
            heeded.set()
            os.kill(os.getpid(), signal.SIGINT)
            raise RefusedError(503, "Never seen.")

    server.before = press_twice
    code, _, err = call(*job, "--target-frame", 2)
    assert code == 1
    assert "Broken off by Ctrl-C. What had been written was taken back: job 7 is as it was." in err
    after = server.read()
    assert [shape["id"] for shape in after["shapes"]] == [shape["id"] for shape in before["shapes"]]
    assert after["tracks"] == []


def _first(server: CvatServer, method: str) -> bool:
    return method == "PATCH" and not server.patches


def test_the_command_is_part_of_keepsight_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from keepsight.apps.cli.command import run\n"
        "try:\n"
        "    run(['cvat', 'track', '--help'])\n"
        "finally:\n"
        "    heavy = {'torch', 'cv2', 'cvat_sdk', 'av'} & sys.modules.keys()\n"
        "    sys.stderr.write(f'heavy: {sorted(heavy)}')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert (
        "--convert-polygons-to-tracks" in done.stdout.replace("…", "")
        or "--convert-polygons-to-tr" in done.stdout
    )
    assert "heavy: []" in done.stderr
