"""Who is let in, and how much may be sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from keepsight.apps.annotator.allowed import AllowedFolders
from keepsight.apps.annotator.errors import ForbiddenError
from keepsight.apps.annotator.server import gate
from keepsight.apps.annotator.server.gate import Door
from keepsight.apps.annotator.studio import Studio
from tests.apps.annotator.desks import client_of, error_of

TOKEN = "c0rrect-horse"
FAR = Door("192.168.1.5", 8265, TOKEN)
EVERYWHERE = Door("0.0.0.0", 8265, TOKEN)


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio) as client:
        yield client


@pytest.fixture
def far(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio, FAR, "http://192.168.1.5:8265") as client:
        yield client


@pytest.mark.parametrize(
    "host", ["localhost:8265", "127.0.0.1:8265", "[::1]:8265", "localhost", "LOCALHOST:1"]
)
def test_this_machines_names_are_let_in(client: TestClient, host: str) -> None:
    assert client.get("/api/project", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8265",
        "localhost.evil.example",
        "10.0.0.1:8265",
        "",
        "[",
        "127.0.0.1.evil",
    ],
)
def test_names_made_to_point_here_are_not(client: TestClient, host: str) -> None:
    for path in ("/", "/api/project", "/page/main.js", "/api/frames/0.jpg"):
        assert "own address in Host" in error_of(client.get(path, headers={"host": host}), 403)


def test_listening_everywhere_numbers_are_let_in_and_names_are_not(studio: Studio) -> None:
    with client_of(studio, EVERYWHERE) as client:
        said = {"authorization": f"Bearer {TOKEN}"}
        for host in ("10.0.0.1:8265", "[fe80::1]:8265", "localhost:8265"):
            assert client.get("/api/project", headers={"host": host, **said}).status_code == 200
        error_of(client.get("/api/project", headers={"host": "evil.example", **said}), 403)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://127.0.0.1:9999",
        "https://evil.example:8265",
        "null",
        "http://localhost:8265",
    ],
)
def test_other_pages_may_not_ask(client: TestClient, origin: str) -> None:
    headers = {"origin": origin}
    said = error_of(client.post("/api/objects", json={"kind": "mask"}, headers=headers), 403)
    assert "Another web page may not ask here" in said
    error_of(client.get("/api/project", headers=headers), 403)
    assert client.get("/api/project").json()["objects"] == []


def test_our_own_page_may_ask(client: TestClient) -> None:
    headers = {"origin": "http://127.0.0.1:8265", "sec-fetch-site": "same-origin"}
    assert client.post("/api/objects", json={"kind": "mask"}, headers=headers).status_code == 200


def test_pictures_and_scripts_are_not_for_other_pages(client: TestClient) -> None:
    error_of(client.get("/api/frames/0.jpg", headers={"sec-fetch-site": "cross-site"}), 403)
    assert client.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200  # a link to it


def test_a_form_of_another_kind_is_not_taken_for_json(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post("/api/objects", content='{"kind": "mask"}', headers={"content-type": kind})
        assert answer.status_code == 422
    assert client.get("/api/project").json()["objects"] == []


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"host": "evil.example"}])
def test_the_websocket_is_not_for_other_pages(client: TestClient, headers: dict[str, str]) -> None:
    address = "ws://127.0.0.1:8265/api/events"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(address, headers=headers):
        pass


def test_from_afar_the_token_is_needed_everywhere(far: TestClient) -> None:
    for path in ("/", "/api/project", "/page/main.js", "/api/frames/0.jpg", "/api/openapi.json"):
        assert "Expected the token" in error_of(far.get(path), 403)
        assert "Expected the token" in error_of(far.get(path, params={"token": "wrong"}), 403)
    with pytest.raises(WebSocketDisconnect), far.websocket_connect("ws://192.168.1.5:8265/api/events"):
        pass


def test_the_token_is_said_once_and_kept_in_a_cookie(far: TestClient) -> None:
    first = far.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert first.status_code == 303
    assert first.headers["location"] == "/"
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert far.get("/api/project").status_code == 200
    with far.websocket_connect("ws://192.168.1.5:8265/api/events") as socket:
        assert socket.receive_json()["type"] == "hello"


def test_the_token_may_be_said_by_programs(far: TestClient) -> None:
    assert far.get("/api/project", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    error_of(far.get("/api/project", headers={"authorization": "Bearer wrong"}), 403)
    error_of(far.get("/api/project", headers={"authorization": TOKEN}), 403)
    error_of(far.get("/api/project", headers={"cookie": "keepsight-8265=wrong"}), 403)
    error_of(far.get("/api/project", headers={"cookie": f"keepsight-9999={TOKEN}"}), 403)
    error_of(far.get("/api/project", params={"token": "ü"}), 403)


@pytest.mark.parametrize("token", ["a+b", "a&b", "a#b", "a;b", "a b", "100%25", 'qu"ote', "größe"])
def test_any_token_works_as_it_is_printed_and_from_its_cookie(studio: Studio, token: str) -> None:
    door = Door("192.168.1.5", 8265, token)
    with client_of(studio, door, "http://192.168.1.5:8265") as far:
        first = far.get(door.address, follow_redirects=False)
        assert first.status_code == 303
        assert far.get("/api/project").status_code == 200


@pytest.mark.parametrize("other", ['theme={"dark":true}', "a=b c", "name[0]=x", "flag", "ü=1", "=", ""])
def test_another_programs_cookie_locks_nobody_out(far: TestClient, other: str) -> None:
    cookie = f"{other}; {FAR.cookie}={TOKEN}".encode()
    assert far.get("/api/project", headers={b"cookie": cookie}).status_code == 200


def test_an_origin_that_is_none_is_refused(client: TestClient) -> None:
    error_of(client.get("/api/project", headers={"origin": "http://[::1"}), 403)


def test_with_the_token_alone_another_page_is_still_refused(far: TestClient) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "origin": "http://evil.example"}
    error_of(far.get("/api/project", headers=headers), 403)


def test_addresses_that_are_told(studio: Studio) -> None:
    assert Door("127.0.0.1", 80).address == "http://127.0.0.1:80/"
    assert EVERYWHERE.address == f"http://localhost:8265/?token={TOKEN}"
    assert Door("::1", 1).address == "http://[::1]:1/"


@pytest.mark.parametrize(
    "path",
    [
        "/page/../errors.py",
        "/page/..%2ferrors.py",
        "/page/%2e%2e/errors.py",
        "/page/....//errors.py",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/..\\errors.py",
        "/page/%00",
        "/api/frames/../../project.jpg",
        "/api/frames/0.jpg/../../../etc/passwd",
    ],
)
def test_nothing_outside_the_page_is_given(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422), answer.text
    assert "root:" not in answer.text
    assert "KeepsightError" not in answer.text


def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    answers: list[Any] = [
        client.get("/"),
        client.get("/api/project"),
        client.get("/api/nothing"),
        client.get("/", headers={"host": "evil.example"}),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_may_use_its_own_websocket_in_every_browser(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy.endswith("connect-src 'self' ws://127.0.0.1:8265 wss://127.0.0.1:8265")
    odd = client.get("/", headers={"host": "localhost:1; script-src *"})
    assert "script-src *" not in odd.headers["content-security-policy"]


def test_a_body_has_a_bound(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_BYTES", 1000)
    body = b'{"kind": "mask", "name": "' + b"x" * 2000 + b'"}'
    headers = {"content-type": "application/json"}
    assert "Expected at most" in error_of(client.post("/api/objects", content=body, headers=headers), 413)
    unannounced = client.post("/api/objects", content=iter([body[:500], body[500:]]), headers=headers)
    assert "Expected at most" in error_of(unannounced, 413)
    assert client.get("/api/project").json()["objects"] == []


def test_an_upload_has_a_bound(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_IMPORT_BYTES", 1000)
    path = "/api/import?format=coco"
    error_of(client.post(path, content=b"x" * 1001), 413)
    error_of(client.post(path, content=iter([b"x" * 600, b"x" * 600])), 413)
    assert "COCO" in error_of(client.post(path, content=b"x" * 999), 400)


def test_folders_that_may_be_opened(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "in-not"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    allowed = AllowedFolders([inside])
    allowed.check(inside / "clip.mp4")
    allowed.check(inside / "a" / ".." / "clip.mp4")
    for path in (
        outside / "clip.mp4",
        inside / ".." / "clip.mp4",
        inside / "link" / "clip.mp4",
        tmp_path,
    ):
        with pytest.raises(ForbiddenError, match="Name its folder with --allow"):
            allowed.check(path)
