"""An emulator of CVAT's lambda manager in front of a tracker function, and of Nuclio around the function.

It does what CVAT of 2026 does with a request to a function of `type: tracker`: reads the function's metadata,
sends frames as PNG or as the stored file, signs states, which then expire, pads shapes with null, has a
legacy mode for functions without shape types, and lets only the status of an error through.
"""

import base64
import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from PIL import Image

sdk = pytest.importorskip("nuclio_sdk", reason="needs nuclio-sdk (in the test extra)")
testing = pytest.importorskip("nuclio_sdk.test")
signing = pytest.importorskip("django.core.signing", reason="needs django (in the test extra)")

NUMBERS = count(1)  # of workers
STATE_MAX_AGE = timedelta(hours=8)
DEPLOYED = Path(__file__).resolve().parents[3] / "deploy" / "cvat" / "function.yaml"
PLAIN: dict[str, Any] = {
    "metadata": {
        "name": "keepsight-tracker",
        "annotations": {
            "type": "tracker",
            "supported_shape_types": "rectangle, polygon, mask",
            "spec": None,
        },
    },
    "spec": {"description": "Tracks."},
}
"""What the emulator deploys where the repository's own function.yaml is not there."""


class Reply(NamedTuple):
    """What a client gets."""

    status: int
    body: Any


class Refused(Exception):  # noqa: N818 - what it stands for in CVAT is called ValidationError
    """CVAT itself refuses a request."""


class Nuclio:
    """A function as one worker of Nuclio runs it: bytes in, bytes out, and a log that can be read."""

    def __init__(self, handler: Callable[[Any, Any], Any]) -> None:
        self._handler = handler
        self._platform = testing.Platform()
        self._log = io.StringIO()
        # Platforms share a logger, by its name; a worker writes to its own.
        logger = sdk.Logger(logging.DEBUG, f"worker {next(NUMBERS)}")
        logger.set_handler("default", self._log, sdk.logger.HumanReadableFormatter())
        self._platform._logger = logger

    def post(self, body: bytes, content_type: str = "application/json") -> tuple[int, str]:
        event = sdk.Event(
            body=_delivered(body, content_type), content_type=content_type, method="POST", path="/"
        )
        response = self._platform.call_handler(self._handler, event)
        return response.status_code, response.body

    @property
    def log(self) -> str:
        """All that was logged."""
        return self._log.getvalue()


def _delivered(body: bytes, content_type: str) -> Any:
    """What the function finds in `event.body`: Nuclio's wrapper reads JSON, and hands on what is none."""
    try:
        return json.loads(body.decode()) if content_type == "application/json" else body
    except (ValueError, RecursionError):
        return body


@dataclass
class Task:
    """A task of CVAT: image files by frame number, and the frames of its jobs."""

    frames: list[bytes]
    jobs: dict[int, range] = field(default_factory=dict)

    @classmethod
    def of_video(cls, frames: Iterable[npt.NDArray[np.uint8]]) -> "Task":
        """CVAT decodes videos and hands their frames out as PNG."""
        return cls([png(frame) for frame in frames])

    @classmethod
    def of_images(cls, paths: Iterable[Path]) -> "Task":
        """Of an image task the stored files are handed out as they are."""
        return cls([path.read_bytes() for path in paths])


def png(picture: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def deployed() -> dict[str, Any]:
    """The repository's function, as Nuclio's dashboard lists it."""
    return yaml.safe_load(DEPLOYED.read_text()) if DEPLOYED.is_file() else PLAIN


class LambdaManager:
    """CVAT's server as the browser sees it.

    Args:
        worker: runs the function; may be exchanged for another, as by a new deployment.
        listed: the function as Nuclio lists it.
    """

    def __init__(self, worker: Nuclio, listed: Mapping[str, Any] | None = None) -> None:
        listed = deployed() if listed is None else listed
        notes = listed["metadata"]["annotations"]
        self.worker = worker
        self.id: str = listed["metadata"]["name"]
        assert re.fullmatch(r"[a-zA-Z0-9_.-]+", self.id)
        assert notes["type"] == "tracker"
        self.shape_types = _shape_types(notes.get("supported_shape_types"))
        self.description = {
            "id": self.id,
            "kind": notes["type"],
            "labels_v2": json.loads(notes.get("spec") or "[]"),
            "description": listed["spec"]["description"],
            "name": notes.get("name", self.id),
            "version": int(notes.get("version", "1")),
            "supported_shape_types": self.shape_types or ["rectangle"],
        }
        self.tasks: dict[int, Task] = {}
        self.sent: list[dict[str, Any]] = []  # what the function was asked, without the images

    def call(self, request: Mapping[str, Any]) -> Reply:
        """`POST /api/lambda/functions/{id}`."""
        try:
            payload = self._payload(request)
        except Refused as refusal:
            return Reply(400, [str(refusal)])
        self.sent.append({key: value for key, value in payload.items() if key != "image"})
        status, body = self.worker.post(json.dumps(payload).encode())
        if status >= 400:
            # requests' HTTPError: the function's own sentence is lost.
            return Reply(
                status, f"{status} Client Error for url: http://nuclio:8070/api/function_invocations"
            )
        return self._signed(json.loads(body))

    def begin(self, task: int, frame: int, shapes: list[Any], **more: Any) -> Reply:
        """What the browser sends to start objects."""
        return self.call({"type": "init_tracking", "task": task, "frame": frame, "shapes": shapes, **more})

    def follow(self, task: int, frame: int, states: list[Any], **more: Any) -> Reply:
        """What the browser sends to go on with them."""
        return self.call({"type": "track", "task": task, "frame": frame, "states": states, **more})

    def sign(self, token: Any) -> str:
        """A state as the browser has it."""
        signed: str = self._signer().sign(json.dumps(token, separators=(",", ":")))
        return signed

    def token(self, state: str) -> str:
        """The function's own token in a state."""
        token: str = json.loads(self._signer().unsign(state, max_age=STATE_MAX_AGE))
        return token

    def _signer(self) -> Any:
        return signing.TimestampSigner(
            key="a server's secret", fallback_keys=(), salt=f"cvat-tracker-state:{self.id}"
        )

    def _payload(self, request: Mapping[str, Any]) -> dict[str, Any]:
        for argument in ("task", "frame"):
            if argument not in request:
                raise Refused(f"`{argument}` argument was not provided")
        task, frame = self.tasks[request["task"]], request["frame"]
        if "job" in request and frame not in task.jobs[request["job"]]:
            raise Refused("The frame is outside the job range")
        payload: dict[str, Any] = {}
        if request.get("threshold"):
            payload["threshold"] = request["threshold"]
        if "states" not in request:
            if "shapes" not in request:
                raise Refused("`shapes` argument was not provided")
            shapes, states = request["shapes"], []
        else:
            states = request["states"]
            shapes = request.get("shapes", [None] * len(states))
        payload["image"] = base64.b64encode(task.frames[frame]).decode()
        payload["shapes"] = [self._prepared(shape) for shape in shapes]
        payload["states"] = [self._unsigned(state) for state in states]
        return payload

    def _prepared(self, shape: Any) -> Any:
        if shape is None:
            return None
        if shape["type"] not in (self.shape_types or ["rectangle"]):
            raise Refused(f"This function does not support shapes of type {shape['type']!r}")
        return shape if self.shape_types else shape["points"]

    def _unsigned(self, state: str | None) -> Any:
        if state is None:
            return None
        try:
            return self.token(state)
        except signing.BadSignature as error:
            raise Refused("Invalid or expired tracker state") from error

    def _signed(self, response: Any) -> Reply:
        if not isinstance(response, dict) or "states" not in response:
            return Reply(500, "Server Error")  # Django's page for a KeyError
        if "shapes" in response and not self.shape_types:
            response["shapes"] = [
                None if points is None else {"type": "rectangle", "points": points}
                for points in response["shapes"]
            ]
        response["states"] = [self.sign(state) for state in response["states"]]
        return Reply(200, response)


def _shape_types(text: str | None) -> list[str] | None:
    if text is None:
        return None
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    assert kinds, "CVAT refuses functions whose supported_shape_types are blank"
    return sorted(kinds)


class Clock:
    """The time by which states are signed; it stands still unless it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: self.now))

    def pass_by(self, hours: float) -> None:
        self.now += 3600 * hours
