"""A CVAT server in this process: the part of its REST interface that a job needs, as CVAT's own does it.

Written after cvat/apps/dataset_manager/task.py and cvat/apps/engine/views.py: a PATCH is done wholly or not
at all, "update" deletes by number and creates anew with the same numbers, attributes are checked against the
labels, and what is read has every attribute, with the default or the last keyframe's value.
"""

from __future__ import annotations

import copy
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["LABELS", "CvatServer", "running"]

TOKEN, USER, PASSWORD = "a-token", "ann", "secret"
DATE = "2026-01-01T00:00:00Z"
LABELS: list[dict[str, Any]] = [
    {
        "id": 3,
        "name": "car",
        "color": "#fff",
        "type": "any",
        "sublabels": [],
        "has_parent": False,
        "attributes": [
            {
                "id": 9,
                "name": "colour",
                "mutable": False,
                "input_type": "text",
                "values": [""],
                "default_value": "grey",
            },
            {
                "id": 10,
                "name": "seen",
                "mutable": True,
                "input_type": "text",
                "values": [""],
                "default_value": "yes",
            },
        ],
    },
    {
        "id": 4,
        "name": "dog",
        "color": "#fff",
        "type": "any",
        "sublabels": [],
        "has_parent": False,
        "attributes": [],
    },
]


class RefusedError(Exception):
    """A request that is answered with a status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class CvatServer:
    """One task with one job, and whatever should go wrong.

    Attributes:
        frames: the images of the task; the job has those from `start` on.
        annotations: what is annotated now.
        before: called before a request is answered, with its method and path; may raise `RefusedError`.
        patches: the actions that were done.
        fetched: the numbers of the frames that were asked for.
    """

    frames: list[npt.NDArray[np.uint8]]
    start: int = 0
    deleted: tuple[int, ...] = ()
    image_task: bool = False
    jobs: tuple[tuple[int, int, int], ...] = ()
    annotations: dict[str, Any] = field(
        default_factory=lambda: {"version": 0, "tags": [], "shapes": [], "tracks": []}
    )
    before: Callable[[str, str], None] = lambda method, path: None
    patches: list[str] = field(default_factory=list)
    fetched: list[int] = field(default_factory=list)
    url: str = ""
    number: int = 100
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, *, shapes: list[Any] | None = None, tracks: list[Any] | None = None) -> None:
        """What a person draws and saves."""
        self._create({"tags": [], "shapes": shapes or [], "tracks": tracks or []})

    def read(self) -> dict[str, Any]:
        """What GET annotations answers."""
        answer = copy.deepcopy(self.annotations)
        for shape in answer["shapes"]:
            _extend(shape, self._defaults(shape["label_id"], None))
        for track in answer["tracks"]:
            _extend(track, self._defaults(track["label_id"], False))
            last = self._defaults(track["label_id"], True)
            for keyframe in track["shapes"]:
                _extend(keyframe, last)
                last = [dict(pair) for pair in keyframe["attributes"]]
        return answer

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any, headers: Any
    ) -> tuple[bytes, str]:
        """A request's answer and its type."""
        self.before(method, path)
        if path == "/api/auth/login":
            if body != {"username": USER, "password": PASSWORD}:
                raise RefusedError(400, "Unable to log in with provided credentials.")
            return b'{"key": "k"}', "application/vnd.cvat+json"
        allowed = headers.get("Authorization") == f"Bearer {TOKEN}" or "sessionid=s" in headers.get(
            "Cookie", ""
        )
        if not allowed:
            raise RefusedError(401, "Authentication credentials were not provided.")
        route = next((act for pattern, act in ROUTES if re.fullmatch(pattern, f"{method} {path}")), None)
        if route is None:
            raise RefusedError(404, "Not found.")
        with self.lock:
            return route(self, path, query, body)

    def job(self, number: int = 7) -> dict[str, Any]:
        known = {job[0]: job for job in self.jobs} or {7: (7, self.start, len(self.frames) - 1)}
        if number not in known:
            raise RefusedError(404, "Not found.")
        _, first, last = known[number]
        return {
            "url": f"{self.url}/api/jobs/{number}",
            "id": number,
            "task_id": 42,
            "dimension": "2d",
            "mode": "annotation" if self.image_task else "interpolation",
            "type": "annotation",
            "start_frame": first,
            "stop_frame": last,
            "frame_count": last - first + 1,
            "organization": None,
            "issues": {"url": "", "count": 0},
            "labels": {"url": ""},
            "state": "new",
            "stage": "annotation",
            "bug_tracker": None,
            "guide_id": None,
            "created_date": DATE,
            "updated_date": DATE,
            "replicas_count": 0,
            "media_type": "video",
        }

    def meta(self) -> dict[str, Any]:
        height, width = self.frames[0].shape[:2]
        described = [
            {
                "width": f.shape[1],
                "height": f.shape[0],
                "name": f"{i}.png",
                "related_files": 0,
                "has_related_context": False,
            }
            for i, f in enumerate(self.frames)
        ]
        whole = [
            {
                "width": width,
                "height": height,
                "name": "clip.mp4",
                "related_files": 0,
                "has_related_context": False,
            }
        ]
        return {
            "chunks_updated_date": DATE,
            "frames": described[self.start :] if self.image_task else whole,
            "deleted_frames": list(self.deleted),
            "chunk_size": 36,
            "size": len(self.frames) - self.start,
            "image_quality": 70,
            "start_frame": 0,
            "stop_frame": len(self.frames) - 1,
            "frame_filter": "",
            "included_frames": None,
            "storage": "local",
            "cloud_storage_id": None,
            "chapters": None,
        }

    def picture(self, query: dict[str, str]) -> bytes:
        number = int(query["number"])
        if query["type"] != "frame" or query["quality"] != "original" or number in self.deleted:
            raise RefusedError(400, "No such frame.")
        self.fetched.append(number)
        file = io.BytesIO()
        Image.fromarray(self.frames[number]).save(file, "PNG")
        return file.getvalue()

    def patch(self, action: str, data: Any) -> dict[str, Any]:
        kept = copy.deepcopy(self.annotations)
        try:
            if action in ("update", "delete"):
                self._delete(data)
            made = self._create(data) if action in ("update", "create") else data
        except BaseException:
            self.annotations = kept
            raise
        self.patches.append(action)
        return made

    def _delete(self, data: Any) -> None:
        for sort in ("tags", "shapes", "tracks"):
            ids = {item["id"] for item in data[sort]}
            self.annotations[sort] = [item for item in self.annotations[sort] if item["id"] not in ids]

    def _create(self, data: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"version": 0, "tags": [], "shapes": [], "tracks": []}
        for shape in data["shapes"]:
            self._check(shape, None)
            made["shapes"].append({"source": "manual", "group": 0, "elements": [], **self._numbered(shape)})
        for track in data["tracks"]:
            self._check(track, False)
            keyframes = [self._numbered(keyframe) for keyframe in track["shapes"]]
            for keyframe in keyframes:
                self._check({"label_id": track["label_id"], **keyframe}, True)
            if keyframes[0]["frame"] != track["frame"] or keyframes[0]["type"] == "mask":
                raise RefusedError(400, "A track that CVAT would not open.")
            made["tracks"].append(
                {"source": "manual", "group": 0, "elements": [], **self._numbered(track), "shapes": keyframes}
            )
        for sort in ("shapes", "tracks"):
            self.annotations[sort] += copy.deepcopy(made[sort])
            self.annotations[sort].sort(key=lambda item: (item["frame"], item["id"]))
        return made

    def _numbered(self, item: Any) -> dict[str, Any]:
        if item.get("id") is not None:
            return dict(item)
        self.number += 1
        return {**item, "id": self.number}

    def _defaults(self, label_id: int, mutable: bool | None) -> list[dict[str, Any]]:
        label = next((label for label in LABELS if label["id"] == label_id), None)
        if label is None:
            raise RefusedError(400, f"label_id `{label_id}` is invalid")
        return [
            {"spec_id": a["id"], "value": a["default_value"]}
            for a in label["attributes"]
            if mutable is None or a["mutable"] is mutable
        ]

    def _check(self, item: Any, mutable: bool | None) -> None:
        known = {pair["spec_id"] for pair in self._defaults(item["label_id"], mutable)}
        for pair in item.get("attributes", []):
            if pair["spec_id"] not in known:
                raise RefusedError(400, f"spec_id `{pair['spec_id']}` is invalid")


def _extend(item: Any, defaults: list[dict[str, Any]]) -> None:
    attributes = item.setdefault("attributes", [])
    known = {pair["spec_id"] for pair in attributes}
    attributes += [dict(pair) for pair in defaults if pair["spec_id"] not in known]
    attributes.reverse()  # the order is anyone's guess


def _json(content: Any) -> tuple[bytes, str]:
    return json.dumps(content).encode(), "application/vnd.cvat+json"


def _page(items: list[Any]) -> tuple[bytes, str]:
    return _json({"count": len(items), "next": None, "previous": None, "results": items})


def _id(path: str) -> int:
    return int(path.split("/")[3])


Route = Callable[[CvatServer, str, dict[str, str], Any], tuple[bytes, str]]
ROUTES: list[tuple[str, Route]] = [
    (r"GET /api/jobs/\d+", lambda s, path, query, body: _json(s.job(_id(path)))),
    (r"GET /api/jobs", lambda s, path, query, body: _page([s.job(job[0]) for job in s.jobs or ((7, 0, 0),)])),
    (r"GET /api/jobs/\d+/data/meta", lambda s, path, query, body: _json(s.meta())),
    (r"GET /api/jobs/\d+/data", lambda s, path, query, body: (s.picture(query), "image/png")),
    (r"GET /api/jobs/\d+/annotations", lambda s, path, query, body: _json(s.read())),
    (r"PATCH /api/jobs/\d+/annotations", lambda s, path, query, body: _json(s.patch(query["action"], body))),
    (r"GET /api/labels", lambda s, path, query, body: _page(LABELS)),
    (r"GET /api/tasks/42", lambda s, path, query, body: _json(_task(s))),
]


def _task(server: CvatServer) -> dict[str, Any]:
    return {
        "url": f"{server.url}/api/tasks/42",
        "id": 42,
        "name": "clip",
        "organization": None,
        "jobs": {"url": "", "count": 1, "completed": 0, "validation": 0},
        "labels": {"url": ""},
        "size": len(server.frames),
    }


@contextmanager
def running(server: CvatServer) -> Iterator[CvatServer]:
    """The server, answering at its `url`."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, cookies = 200, []
            try:
                content, kind = server.answer(self.command, parts.path.rstrip("/"), query, body, self.headers)
                if parts.path == "/api/auth/login":
                    cookies = ["sessionid=s", "csrftoken=c"]
            except RefusedError as error:
                status, (content, kind) = error.status, _json({"detail": str(error)})
            self.send_response(status)
            for cookie in cookies:
                self.send_header("Set-Cookie", f"{cookie}; Path=/")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            with suppress(ConnectionError):  # a client that was interrupted has hung up
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
