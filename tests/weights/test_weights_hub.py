import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keepsight.errors import WeightsError
from keepsight.nn.sam2 import Sam2
from keepsight.weights.hub import Hub
from keepsight.weights.load import load_network
from keepsight.weights.save import save_network
from tests.weights.miniature import TINY

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(BaseHTTPRequestHandler):
    """Just enough of the hub's interface: a file list per repository, and the files."""

    files: dict[str, dict[str, bytes]]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Tests stay silent."""

    def _answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/").removeprefix("api/models/")
        repository = "/".join(path.split("/")[:2])
        rest = path.split("/")[2:]
        if repository == "owner/gated":
            return self._send(403, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        if repository not in self.files:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body=body)
        files = self.files[repository]
        if rest[:1] == ["resolve"] and repository == "facebook/sam3":
            # The real hub lists a gated repository to everybody and refuses its files.
            return self._send(401, b"", {"X-Error-Code": "GatedRepo"}, body=body)
        if rest[:1] == ["resolve"]:
            content = files.get(rest[-1])
            if content is None:
                return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body=body)
            return self._send(200, content, {"ETag": f'"{len(content)}"'}, body=body)
        if rest[:1] == ["tree"]:
            listing: object = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in files.items()
            ]
        else:
            listing = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        return self._send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"}, body=body)

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Hub, type[FakeHub], ThreadingHTTPServer]]:
    handler = type("Handler", (FakeHub,), {"files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Hub(f"http://127.0.0.1:{server.server_port}", tmp_path / "cache"), handler, server
    server.shutdown()
    server.server_close()
    thread.join()


Served = tuple[Hub, type[FakeHub], ThreadingHTTPServer]


def load(model: str, hub: Hub, **options: object) -> Sam2:
    return load_network(model, device="cpu", dtype="float32", hub=hub, **options)  # type: ignore[arg-type]


def test_published_checkpoint_is_downloaded_once_and_then_cached(
    hub: Served, meta_file: Callable[..., Path]
) -> None:
    client, handler, server = hub
    handler.files["facebook/sam2.1-hiera-tiny"] = {"sam2.1_hiera_tiny.pt": meta_file().read_bytes()}
    assert load("sam2.1-tiny", client, config=TINY).config == TINY
    server.shutdown()
    server.server_close()
    assert load("facebook/sam2.1-hiera-tiny", client, config=TINY).config == TINY


def test_other_repositories_safetensors_come_first(hub: Served, tmp_path: Path, tiny: Sam2) -> None:
    client, handler, _ = hub
    save_network(tiny, tmp_path / "mine.safetensors")
    handler.files["owner/mine"] = {
        "mine.safetensors": (tmp_path / "mine.safetensors").read_bytes(),
        "other.pt": b"never fetched",
    }
    assert load("owner/mine", client).config == TINY
    assert not list((tmp_path / "cache").rglob("other.pt"))


def test_other_repositories_with_a_pt_only(hub: Served, meta_file: Callable[..., Path]) -> None:
    client, handler, _ = hub
    handler.files["owner/pickled"] = {"tuned.pt": meta_file().read_bytes(), "README.md": b"hello"}
    assert load("owner/pickled", client, config=TINY).config == TINY


def test_no_network_and_nothing_cached(tmp_path: Path) -> None:
    nowhere = Hub("http://127.0.0.1:9", tmp_path)
    message = (
        r"(?s)'facebook/sam2\.1-hiera-tiny' failed.*cannot be reached.*'pocket'.*dl\.fbaipublicfiles\.com"
    )
    with pytest.raises(WeightsError, match=message):
        load("sam2.1_hiera_tiny", nowhere)
    with pytest.raises(WeightsError, match=r"'owner/mine' failed.*cannot be reached"):
        load("owner/mine", nowhere)


def test_gated_missing_and_incomplete_repositories(hub: Served) -> None:
    client, handler, _ = hub
    with pytest.raises(WeightsError, match=r"'owner/gated' failed.*registered users.*HF_TOKEN"):
        load("owner/gated", client)
    with pytest.raises(WeightsError, match=r"'owner/nothing' failed.*no such repository"):
        load("owner/nothing", client)
    handler.files["facebook/sam3"] = {"config.json": b"{}", "model.safetensors": b"x"}
    for name in ("sam3", "facebook/sam3"):
        with pytest.raises(
            WeightsError, match=r"'facebook/sam3' failed.*https://huggingface.co/facebook/sam3,"
        ):
            load(name, client)
    handler.files["facebook/sam2-hiera-large"] = {"README.md": b""}
    with pytest.raises(WeightsError, match=r"sam2_hiera_large\.pt .*has no such file"):
        load("sam2_hiera_large", client)
    handler.files["owner/empty"] = {"README.md": b""}
    with pytest.raises(WeightsError, match=r"'owner/empty' was expected to hold weights"):
        load("owner/empty", client)
