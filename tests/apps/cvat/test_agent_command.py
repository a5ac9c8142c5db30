"""Making the agent function, and `cvat-cli function ...` as a user types it, before an emulated CVAT."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import torch
from PIL import Image

from keepsight.api import VideoTracker, load_model
from keepsight.errors import PolicyError, UnknownModelError, UsageError, WeightsError
from keepsight.shapes import cvat_rle
from keepsight.weights import hub
from tests.oracle import MASK as START
from tests.oracle import moving_texture

pytest.importorskip("cvat_cli", reason="needs cvat-cli (in the test extra)")
agent: Any = import_module("keepsight.apps.cvat.agent")

ROOT = Path(__file__).parents[3]
TASK = 42
FRAMES = moving_texture(4)
RECTANGLE: dict[str, Any] = {"type": "rectangle", "points": [12.0, 27.0, 48.0, 63.0]}
FLAT: dict[str, Any] = {"type": "rectangle", "points": [5, 5, 5, 9]}
SHAPES = (RECTANGLE, {"type": "mask", "points": cvat_rle.encode(START)})


def never(*args: Any, **options: Any) -> Any:
    raise AssertionError("was not to be called")


@pytest.mark.parametrize(
    "name", ["pocket", "sam2.1_hiera_tiny", "facebook/sam2.1-hiera-tiny", "someone/their-model", "sam3"]
)
def test_making_the_function_neither_loads_nor_downloads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "load_network", never)
    monkeypatch.setattr(hub, "snapshot_download", never)
    monkeypatch.setattr(hub, "try_to_load_from_cache", never)
    assert agent.create(model_id=name).spec.supported_shape_types == {"rectangle", "polygon", "mask"}


@pytest.mark.parametrize(
    ("choices", "kind", "words"),
    [
        ({"policy": "sam3"}, PolicyError, "one of sam2, sam2long, samurai"),
        ({"model_id": "sam2.1_hiera_tinny"}, UnknownModelError, "Did you mean"),
        ({"model_id": "/nowhere/weights.pt"}, WeightsError, "does not exist"),
        ({"model_id": __file__}, WeightsError, "not a checkpoint"),
        ({"model_id": 3}, UsageError, "model_id=str:"),
        ({"device": "tpu"}, UsageError, "not available"),
        ({"dtype": "int8"}, UsageError, "unknown"),
        ({"lost_rectangle": "drop"}, UsageError, "hold, null"),
        ({"polygon_tolerance": -1}, UsageError, "number from 0"),
        ({"polygon_tolerance": float("nan")}, UsageError, "number from 0"),
        ({"polygon_tolerance": "1"}, UsageError, "number from 0"),
    ],
)
def test_wrong_choices_are_refused_at_once(
    choices: dict[str, Any], kind: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "load_network", never)
    with pytest.raises(kind, match=words):
        agent.create(**choices)


def test_without_the_sdk_the_module_says_what_to_install() -> None:
    code = "import sys; sys.modules['cvat_sdk'] = None; import keepsight.apps.cvat.agent"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError" in done.stderr
    assert "pip install 'keepsight[cvat]'" in done.stderr.splitlines()[-1]


class Cvat(BaseHTTPRequestHandler):
    """So much of CVAT's server as cvat-cli asks for: one task, one queue with one user's requests."""

    posted: ClassVar[list[Any]]  # what was completed or failed, in order
    created: ClassVar[list[Any]]

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        address = urlsplit(self.path)
        found = self.found(unquote(address.path).rstrip("/"), parse_qs(address.query), body)
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "image/png" if data is found else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815 - names that http.server looks for

    def found(self, path: str, query: dict[str, list[str]], body: Any) -> Any:
        if path == "/api/functions":
            self.created.append(body)
        if path.endswith(("/complete", "/fail")):
            self.posted.append(body)
        if path.endswith("/acquire"):
            return {"ar_assignment": self.request_of(len(self.posted))}
        if path.endswith("/data"):
            file = io.BytesIO()
            Image.fromarray(FRAMES[int(query["number"][0])]).save(file, "PNG")
            return file.getvalue()
        return PAGES.get(path, {})

    def request_of(self, number: int) -> Any:
        params: dict[str, Any] = {"type": "track", "task": TASK, "frame": number % len(FRAMES)}
        if number == 0:
            params |= {"type": "init_tracking", "shapes": SHAPES}
        elif number == 4:
            params |= {"type": "init_tracking", "shapes": [FLAT]}
        elif number > 4 or "states" not in self.posted[0]:
            return None
        else:
            params["states"] = self.posted[0]["states"]
        return {"ar_id": f"request-{number}", "ar_params": params}

    def log_message(self, *args: Any) -> None:
        pass


DATE = "2026-01-01T00:00:00Z"
FUNCTION = {"id": 7, "name": "keepsight", "provider": "native", "kind": "tracker"}
KINDS = {"supported_shape_types": ["mask", "polygon", "rectangle"]}
PAGES: dict[str, Any] = {
    "/api/server/about": {
        "name": "CVAT",
        "description": "",
        "version": "2.80.0",
        "logo_url": "",
        "subtitle": "",
    },
    "/api/functions": FUNCTION,
    "/api/functions/7": FUNCTION | KINDS,
    f"/api/tasks/{TASK}": {
        "id": TASK,
        "size": len(FRAMES),
        "data_chunk_size": 4,
        "data_original_chunk_type": "imageset",
        "updated_date": DATE,
        "jobs": {"completed": 0, "validation": 0},
        "labels": {},
        "organization": None,
    },
    "/api/labels": {"count": 0, "next": None, "previous": None, "results": []},
    f"/api/tasks/{TASK}/data/meta": {
        "chunks_updated_date": DATE,
        "deleted_frames": [],
        "frames": [{"name": f"{i}.png", "related_files": 0} for i in range(len(FRAMES))],
    },
}


@pytest.fixture
def cvat() -> Iterator[tuple[type[Cvat], str]]:
    handler = type("Handler", (Cvat,), {"posted": [], "created": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def command(address: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`cvat-cli function WORDS`, as a user types it."""
    options = ["-p", "model_id=str:pocket", "-p", "device=str:cpu", "-p", "dtype=str:float32"]
    return subprocess.run(
        [sys.executable, "-m", "cvat_cli", "--server-host", address, "function", *words, *options],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {"CVAT_ACCESS_TOKEN": "token", "HOME": str(home), "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"},
    )


WAYS = [
    ("--function-module", "keepsight.apps.cvat.agent"),
    ("--function-file", str(ROOT / "deploy" / "cvat" / "func.py")),
]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS, ids=["module", "file"])
def test_cvat_cli_creates_the_function_and_runs_the_agent(
    way: tuple[str, str], cvat: tuple[type[Cvat], str], tmp_path: Path
) -> None:
    server, address = cvat
    done = command(address, tmp_path, "create-native", "keepsight", *way)
    assert done.returncode == 0, done.stderr
    assert [{**said, "id": 7} for said in server.created] == [FUNCTION | KINDS | {"visibility": "private"}]
    done = command(address, tmp_path, "run-agent", "7", "--burst", *way)
    assert done.returncode == 0, done.stderr
    begun, *followed, failed = server.posted
    assert begun["states"] == followed[-1]["states"]
    torch.set_num_threads(1)
    model = load_model("pocket", device="cpu", dtype="float32")
    with VideoTracker(FRAMES, model=model) as tracker:
        tracker.prompt(0, 1, box=RECTANGLE["points"])
        tracker.prompt(0, 2, mask=START)
        expected = list(tracker.propagate())
    for answer, result in zip(followed, expected[1:], strict=True):
        rectangle, mask = answer["shapes"]
        assert rectangle == {"type": "rectangle", "points": list(result[1].box or ())}
        assert mask == {"type": "mask", "points": cvat_rle.encode(result[2].mask)}
    assert "Expected a rectangle with an area" in failed["exc_info"]
