"""The HTTP contract."""

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from keepsight.apps.annotator.names import MODELS as NAMES
from keepsight.apps.annotator.names import POLICIES as POLICY_NAMES
from keepsight.apps.annotator.server import events
from keepsight.apps.annotator.server.page import add_page
from keepsight.apps.annotator.studio import Studio
from keepsight.memory import POLICIES
from keepsight.weights.catalogue import CATALOGUE
from tests.apps.annotator.desks import MODELS, client_of, error_of
from tests.apps.annotator.rooms import FRAMES, finished, opened_studio
from tests.toy import centre

SQUARE = [10.0, 4.0, 22.0, 4.0, 22.0, 16.0, 10.0, 16.0]


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with client_of(studio) as client:
        yield client


def added(client: TestClient, **body: Any) -> int:
    answer = client.post("/api/objects", json={"kind": "mask", **body})
    assert answer.status_code == 200, answer.text
    number: int = answer.json()["object"]["id"]
    return number


def clicked(client: TestClient, frame: int = 0, i: int = 1, **body: Any) -> int:
    number = added(client, **body)
    answer = client.post(f"/api/objects/{number}/prompt", json=click(frame, i))
    assert answer.status_code == 200, answer.text
    return number


def click(frame: int = 0, i: int = 1) -> dict[str, Any]:
    return {"frame": frame, "points": [centre(i, frame)], "labels": [1]}


def test_names_are_those_of_the_catalogue_and_of_the_policies() -> None:
    assert tuple(CATALOGUE) == NAMES
    assert tuple(POLICIES) == POLICY_NAMES


def test_the_project(client: TestClient) -> None:
    answer = client.get("/api/project").json()
    assert answer == {
        "revision": 0,
        "source": {
            "name": "clip",
            "width": 80,
            "height": 48,
            "frames": FRAMES,
            "rate": None,
            "fingerprint": "24-80x48-1000",
        },
        "model": {"name": "pocket", "state": "ready", "error": None},
        "models": list(MODELS),
        "policies": ["sam2", "samurai", "sam2long"],
        "policy": "sam2",
        "objects": [],
        "undo": None,
        "redo": None,
        "run": None,
        "unfinished": None,
        "comparing": None,
        "notes": [],
    }


def test_objects_are_made_changed_and_removed(client: TestClient) -> None:
    made = client.post("/api/objects", json={"kind": "polygon", "name": " fish ", "colour": "#00ff7F"}).json()
    number = made["object"]["id"]
    assert made == {
        "revision": 1,
        "object": {
            "id": number,
            "name": "fish",
            "colour": "#00ff7F",
            "kind": "polygon",
            "tracked": True,
            "shown": True,
            "locked": False,
        },
    }
    changed = client.patch(f"/api/objects/{number}", json={"shown": False, "name": "shark"}).json()
    assert changed["object"] == {**made["object"], "shown": False, "name": "shark"}
    assert changed["revision"] == 2
    assert client.get("/api/project").json()["objects"] == [changed["object"]]
    assert client.delete(f"/api/objects/{number}").json() == {"revision": 3}
    assert client.get("/api/project").json()["objects"] == []


def test_clicks(client: TestClient) -> None:
    number = added(client)
    answer = client.post(f"/api/objects/{number}/prompt", json=click(3)).json()
    assert answer["prompt"] == {
        "object": number,
        "frame": 3,
        "points": [list(map(float, centre(1, 3)))],
        "labels": [1],
        "box": None,
    }
    assert answer["shape"]["source"] == "prompted"
    seen = client.get("/api/shapes/3").json()
    assert seen["shapes"] == [{**answer["shape"], "kind": "mask", "interpolated": False}]
    assert seen["prompts"] == [answer["prompt"]]
    stored = client.get("/api/shapes", params={"start": 0, "stop": 10}).json()
    assert (stored["shapes"], stored["prompts"]) == ([answer["shape"]], [answer["prompt"]])
    back = client.delete(f"/api/objects/{number}/prompt", params={"frame": 3}).json()
    assert back["shape"] is None
    assert client.get("/api/shapes").json()["shapes"] == []


def test_drawing(client: TestClient) -> None:
    number = added(client, kind="polygon")
    answer = client.put(f"/api/objects/{number}/shape", json={"frame": 0, "points": SQUARE}).json()
    assert answer["shape"] == {
        "object": number,
        "frame": 0,
        "source": "manual",
        "outside": False,
        "points": SQUARE,
        "score": None,
        "presence": None,
    }
    client.put(f"/api/objects/{number}/shape", json={"frame": 4, "outside": True})
    between = client.get("/api/shapes/2").json()["shapes"]
    more = {"frame": 2, "source": "auto", "kind": "polygon", "interpolated": True}
    assert between == [{**answer["shape"], **more}]
    assert client.get("/api/shapes/4").json()["shapes"] == []
    assert client.get("/api/timeline").json()["objects"] == [
        {
            "object": number,
            "frames": [0, 4],
            "source": "mm",
            "outside": [0, 1],
            "score": [None, None],
            "presence": [None, None],
        }
    ]
    assert client.delete(f"/api/objects/{number}/shape", params={"frame": 4}).status_code == 200
    assert client.get("/api/timeline").json()["objects"][0]["frames"] == [0]


def test_shapes_of_a_stretch_and_of_an_object(client: TestClient) -> None:
    first, second = added(client, kind="polygon"), added(client, kind="polygon")
    for number in (first, second):
        for frame in (0, 5, 9):
            client.put(f"/api/objects/{number}/shape", json={"frame": frame, "points": SQUARE})

    def found(**query: int) -> list[tuple[int, int]]:
        shapes = client.get("/api/shapes", params=query).json()["shapes"]
        return [(shape["object"], shape["frame"]) for shape in shapes]

    assert found(start=5, stop=9) == [(first, 5), (second, 5)]
    assert found(start=5, object=second) == [(second, 5), (second, 9)]
    assert found(stop=0) == []


def test_a_run(client: TestClient, studio: Studio) -> None:
    number = clicked(client)
    answer = client.post("/api/run", json={"objects": [number], "frame": 0, "target": 4})
    run = answer.json()["run"]
    assert answer.status_code == 200
    assert {**run, "done": 0, "frame_now": None, "speed": None, "state": "running"} == {
        "id": 1,
        "objects": [number],
        "frame": 0,
        "target": 4,
        "direction": "forward",
        "model": "pocket",
        "policy": "sam2",
        "convert": False,
        "state": "running",
        "done": 0,
        "total": 4,
        "frame_now": None,
        "speed": None,
    }
    finished(studio)
    project = client.get("/api/project").json()
    assert (project["run"], project["unfinished"], project["undo"]) == (None, None, "tracking")
    assert client.get("/api/timeline").json()["objects"][0]["source"] == "paaaa"
    assert client.post("/api/undo").json()["name"] == "tracking"
    assert client.get("/api/timeline").json()["objects"][0]["source"] == "p"
    assert client.post("/api/redo").json()["name"] == "tracking"
    visible = {"objects": "visible", "frame": 4, "target": 2, "direction": "backward"}
    assert client.post("/api/run", json=visible).json()["run"]["objects"] == [number]
    finished(studio)


def test_refusals_are_sentences_with_their_status(client: TestClient) -> None:
    number = clicked(client)
    other = added(client)
    assert "no object 99" in error_of(client.delete("/api/objects/99"), 404)
    assert "no object 99" in error_of(client.post("/api/objects/99/prompt", json=click()), 404)
    far = {"frame": 0, "points": [[500, 0]], "labels": [1]}
    assert "inside the frame" in error_of(client.post(f"/api/objects/{number}/prompt", json=far), 400)
    labels = {"frame": 0, "points": [[5, 5]], "labels": []}
    assert "one label per point" in error_of(client.post(f"/api/objects/{number}/prompt", json=labels), 400)
    late = click() | {"frame": FRAMES}
    assert "from 0 to 23" in error_of(client.post(f"/api/objects/{number}/prompt", json=late), 400)
    empty = {"frame": 0, "points": []}
    assert "five numbers" in error_of(client.put(f"/api/objects/{number}/shape", json=empty), 400)
    run = {"objects": [other], "frame": 0, "target": 4}
    assert "to have a shape on frame 0" in error_of(client.post("/api/run", json=run), 400)
    same = {"objects": [number], "frame": 0, "target": 0}
    assert "after frame 0" in error_of(client.post("/api/run", json=same), 400)
    path = {"objects": [number], "frame": 0, "target": 3, "model": "/etc/passwd"}
    assert "one of pocket, sam3" in error_of(client.post("/api/run", json=path), 400)
    policy = {"objects": [number], "frame": 0, "target": 3, "policy": "best"}
    assert "one of sam2, samurai, sam2long" in error_of(client.post("/api/run", json=policy), 400)
    assert "there is none" in error_of(client.post("/api/run/cancel", json={"keep": True}), 404)
    assert "there is none" in error_of(client.post("/api/run/resume"), 404)
    assert "there is none" in error_of(client.post("/api/run/forget"), 404)
    assert "there is nothing" in error_of(client.post("/api/redo"), 409)
    client.patch(f"/api/objects/{number}", json={"locked": True})
    assert "is locked" in error_of(client.delete(f"/api/objects/{number}"), 409)
    assert "There is nothing at /api/nothing." in error_of(client.get("/api/nothing"), 404)
    assert "PUT is not something" in error_of(client.put("/api/undo"), 405)
    assert "from 0 to 23" in error_of(client.get("/api/shapes/24"), 404)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/objects", {"kind": "circle"}),
        ("POST", "/api/objects", {"kind": "mask", "colour": "red"}),
        ("POST", "/api/objects", {"kind": "mask", "name": ""}),
        ("POST", "/api/objects", {"kind": "mask", "name": "x" * 201}),
        ("POST", "/api/objects", {"kind": "mask", "unknown": 1}),
        ("POST", "/api/objects", {"kind": "mask", "tracked": 1}),
        ("POST", "/api/objects", []),
        ("PATCH", "/api/objects/1", {"shown": "yes"}),
        ("PATCH", "/api/objects/0", {"shown": True}),
        ("PATCH", "/api/objects/one", {"shown": True}),
        ("POST", "/api/objects/1/prompt", {"frame": -1, "points": [[1, 1]], "labels": [1]}),
        ("POST", "/api/objects/1/prompt", {"frame": 0.5, "points": [[1, 1]], "labels": [1]}),
        ("POST", "/api/objects/1/prompt", {"frame": 0, "points": [[1, 1]], "labels": [2]}),
        ("POST", "/api/objects/1/prompt", {"frame": 0, "points": [[1]], "labels": [1]}),
        ("POST", "/api/objects/1/prompt", {"frame": 0, "points": [[1, 1]] * 257, "labels": [1] * 257}),
        ("POST", "/api/objects/1/prompt", {"frame": 0, "box": [1, 2, 3]}),
        ("PUT", "/api/objects/1/shape", {"frame": 0, "points": ["1"]}),
        ("PUT", "/api/objects/1/shape", {"frame": 0, "points": [1e300]}),
        ("POST", "/api/run", {"objects": [], "frame": 0, "target": 3}),
        ("POST", "/api/run", {"objects": "all", "frame": 0, "target": 3}),
        ("POST", "/api/run", {"objects": [1], "frame": 0, "target": 3, "direction": "up"}),
        ("POST", "/api/run", {"objects": [1], "frame": 0}),
        ("POST", "/api/run/cancel", {}),
        ("GET", "/api/shapes?start=-1", None),
        ("GET", "/api/shapes/-1", None),
        ("GET", "/api/frames/x.jpg", None),
        ("GET", "/api/export?format=exe", None),
        ("GET", "/api/export", None),
        ("POST", "/api/import?format=overlay", None),
    ],
)
def test_what_is_not_of_the_form_is_refused(client: TestClient, method: str, path: str, body: Any) -> None:
    assert "Expected another" in error_of(client.request(method, path, json=body), 422)
    assert client.get("/api/project").json()["revision"] == 0


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"NaN", b'{"kind": "mask", "name": "\\ud800"}'])
def test_what_is_no_json_is_refused(client: TestClient, text: bytes) -> None:
    headers = {"content-type": "application/json"}
    error_of(client.post("/api/objects", content=text, headers=headers), 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: TestClient, number: str) -> None:
    client.post("/api/objects", json={"kind": "rectangle"})
    text = f'{{"frame": 0, "points": [1, 2, {number}, 4]}}'
    headers = {"content-type": "application/json"}
    error_of(client.put("/api/objects/1/shape", content=text, headers=headers), 422)


def test_frames(client: TestClient) -> None:
    answer = client.get("/api/frames/5.jpg", params={"v": "24-80x48-1000"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    assert Image.open(io.BytesIO(answer.content)).size == (80, 48)
    assert client.get("/api/frames/5.jpg").headers["cache-control"] == "no-cache"
    assert "has changed" in error_of(client.get("/api/frames/5.jpg", params={"v": "other"}), 404)
    assert "from 0 to 23" in error_of(client.get("/api/frames/24.jpg"), 404)
    assert "from 0 to 23" in error_of(client.get("/api/frames/2147483647.jpg"), 404)


def test_a_frame_that_cannot_be_decoded_is_told(folder: Path) -> None:
    with opened_studio(folder) as studio, client_of(studio) as client:
        (folder / "00007.png").write_bytes(b"damaged")
        assert "cannot be read" in error_of(client.get("/api/frames/7.jpg"), 422)
        assert client.get("/api/frames/8.jpg").status_code == 200


def test_an_unfinished_run_is_offered(folder: Path) -> None:
    with opened_studio(folder) as studio, client_of(studio) as client:
        number = clicked(client)
        client.post("/api/run", json={"objects": [number], "frame": 0, "target": 20})
        finished(studio)
        studio.project._link.execute("UPDATE runs SET state = 'running', reached = 5")
        studio.project._link.execute("DELETE FROM shapes WHERE frame > 5")
    with opened_studio(folder) as studio, client_of(studio) as client:
        left = client.get("/api/project").json()["unfinished"]
        assert (left["state"], left["done"], left["total"], left["frame_now"]) == ("interrupted", 5, 20, 5)
        resumed = client.post("/api/run/resume")
        assert resumed.json()["run"]["id"] == left["id"]
        finished(studio)
        assert client.get("/api/timeline").json()["objects"][0]["frames"] == list(range(21))
        assert client.get("/api/project").json()["unfinished"] is None


def test_the_page_and_its_files(tmp_path: Path) -> None:
    from fastapi import FastAPI

    app = FastAPI()
    (tmp_path / "index.html").write_text("<!doctype html><p>page")
    (tmp_path / "main.js").write_text("export {}")
    add_page(app, tmp_path)
    with TestClient(app) as client:
        page = client.get("/")
        assert "<p>page" in page.text
        assert page.headers["content-type"].startswith("text/html")
        script = client.get("/page/main.js")
        assert script.headers["content-type"].startswith("text/javascript")
        for answer in (page, script):
            assert answer.headers["cache-control"] == "no-cache"
        again = client.get("/page/main.js", headers={"if-none-match": script.headers["etag"]})
        assert again.status_code == 304


def test_two_tabs_see_the_same(client: TestClient, studio: Studio) -> None:
    with (
        client.websocket_connect("ws://127.0.0.1:8265/api/events") as one,
        client.websocket_connect("ws://127.0.0.1:8265/api/events") as other,
    ):
        assert one.receive_json() == other.receive_json() == {"type": "hello", "revision": 0}
        number = clicked(client)
        client.post("/api/run", json={"objects": [number], "frame": 0, "target": 3})
        client.put(f"/api/objects/{number}/shape", json={"frame": 9, "points": [0, 90, 10, 4, 19, 12]})
        finished(studio)
        client.post("/api/undo")
        seen: list[list[dict[str, Any]]] = [[], []]
        for events, socket in zip(seen, (one, other), strict=True):
            while not events or events[-1]["revision"] < studio.project.revision:
                events.append(socket.receive_json())
    assert seen[0] == seen[1]
    revisions = [event["revision"] for event in seen[0]]
    assert sorted(set(revisions)) == list(range(1, studio.project.revision + 1))
    assert {event["type"] for event in seen[0]} == {"changed", "run"}


class SlowTab:
    """A WebSocket that takes one event and then nothing more until it is let go on."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.closed: int | None = None
        self.on = asyncio.Event()

    async def accept(self) -> None: ...

    async def receive(self) -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send_text(self, text: str) -> None:
        self.said.append(text)
        await self.on.wait()

    async def close(self, code: int, reason: str) -> None:
        self.closed = code


@pytest.mark.parametrize(("missed", "closed"), [(3, None), (4, 1013), (50, 1013)])
def test_a_tab_that_falls_behind_is_told_to_begin_anew(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, missed: int, closed: int | None
) -> None:
    monkeypatch.setattr(events, "MOST_WAITING", 3)
    tab = SlowTab()

    async def follow() -> None:
        serving = asyncio.create_task(events.EventHub(studio).serve(tab))  # type: ignore[arg-type]
        while not tab.said:
            await asyncio.sleep(0)
        for _ in range(missed):
            await asyncio.to_thread(studio.add_subject, "mask")
        await asyncio.sleep(0)
        tab.on.set()
        while len(tab.said) < 4 or tab.closed != closed:
            await asyncio.sleep(0)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    asyncio.run(follow())
    assert tab.closed == closed
    assert [json.loads(text)["revision"] for text in tab.said] == [0, 1, 2, 3]
    assert studio._listeners == []


def test_a_full_disk_is_told_and_nothing_is_lost(client: TestClient, studio: Studio) -> None:
    number = added(client, kind="polygon")
    pages = studio.project._link.execute("PRAGMA page_count").fetchone()[0]
    studio.project._link.execute(f"PRAGMA max_page_count = {pages + 2}")
    ring = [value for step in range(3000) for value in (10 + step % 50 + step / 3000, 10 + step % 7)]
    body = {"frame": 0, "points": ring}
    before = client.get("/api/project").json()
    sentence = error_of(client.put(f"/api/objects/{number}/shape", json=body), 507)
    assert "no room on the disk" in sentence
    assert client.get("/api/project").json() == before
    assert client.get("/api/shapes").json()["shapes"] == []
    studio.project._link.execute("PRAGMA max_page_count = 100000")
    assert client.put(f"/api/objects/{number}/shape", json=body).status_code == 200


def test_a_disk_that_fills_up_during_a_run_keeps_what_was_done(client: TestClient, studio: Studio) -> None:
    number = clicked(client)
    pages = studio.project._link.execute("PRAGMA page_count").fetchone()[0]
    studio.project._link.execute(f"PRAGMA max_page_count = {pages}")
    seen: list[dict[str, Any]] = []
    studio.listen(seen.append)
    client.post("/api/run", json={"objects": [number], "frame": 0, "target": FRAMES - 1})
    finished(studio)
    # Small shapes fit into the pages there are; what counts is that either all is done or it can go on.
    left = client.get("/api/project").json()["unfinished"]
    frames = client.get("/api/timeline").json()["objects"][0]["frames"]
    assert frames == list(range(len(frames)))
    studio.project._link.execute("PRAGMA max_page_count = 100000")
    if left is not None:
        assert "no room on the disk" in seen[-1]["run"]["error"]
        assert left["done"] == len(frames) - 1
        assert client.post("/api/run/resume").status_code == 200
        finished(studio)
    frames = client.get("/api/timeline").json()["objects"][0]["frames"]
    assert frames == list(range(FRAMES))


def test_what_a_tab_says_is_not_listened_to(client: TestClient) -> None:
    with client.websocket_connect("ws://127.0.0.1:8265/api/events") as socket:
        socket.receive_json()
        socket.send_text("{}" * 100)
        socket.send_bytes(b"\0")
        client.post("/api/objects", json={"kind": "mask"})
        assert socket.receive_json()["type"] == "changed"


def test_a_tab_that_goes_is_forgotten(client: TestClient, studio: Studio) -> None:
    with client.websocket_connect("ws://127.0.0.1:8265/api/events") as socket:
        socket.receive_json()
        assert len(studio._listeners) == 1
    client.post("/api/objects", json={"kind": "mask"})
    assert studio._listeners == []


def test_review_is_empty_where_there_is_nothing(client: TestClient) -> None:
    assert client.get("/api/review").json()["stretches"] == []
    assert "no object 3" in error_of(client.get("/api/review", params={"object": 3}), 404)
