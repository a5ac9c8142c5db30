"""The function behind the emulator of CVAT, with its states in a real Redis."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from keepsight.apps.cvat import nuclio
from keepsight.apps.cvat.service import TrackingService
from keepsight.apps.cvat.settings import Settings
from keepsight.store import InProcessStore
from keepsight.weights.load import load_network
from tests.apps.cvat.lambda_manager import Clock, LambdaManager, Nuclio, Task
from tests.apps.cvat.user import FRAMES, SHAPES, User
from tests.store.conftest import server
from tests.store.server import RedisServer

__all__ = ["clock", "cvat", "deploy", "server", "undisturbed", "user", "worker"]


@pytest.fixture(scope="module")
def deploy(server: RedisServer) -> Iterator[Callable[[], Nuclio]]:
    """Starts a worker of the function; each has a model of its own, and all share the Redis."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CVAT_FUNCTIONS_REDIS_PASSWORD", "KEEPSIGHT_MODEL", "KEEPSIGHT_LOST_RECTANGLE"):
            patch.delenv(name, raising=False)
        patch.setenv("CVAT_FUNCTIONS_REDIS_HOST", "127.0.0.1")
        patch.setenv("CVAT_FUNCTIONS_REDIS_PORT", str(server.port))
        patch.setenv("KEEPSIGHT_DEVICE", "cpu")
        patch.setenv("KEEPSIGHT_DTYPE", "float32")
        yield lambda: Nuclio(nuclio.handler)


@pytest.fixture(scope="module")
def worker(deploy: Callable[[], Nuclio]) -> Nuclio:
    return deploy()


@pytest.fixture
def cvat(worker: Nuclio, server: RedisServer) -> LambdaManager:
    """CVAT with one worker of the function and an empty Redis."""
    server.admin.flushall()
    return LambdaManager(worker)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which CVAT signs."""
    return Clock(monkeypatch)


@pytest.fixture(scope="session")
def undisturbed() -> list[list[Any]]:
    """By frame, the answers to a user for whom nothing goes wrong."""
    network = load_network("pocket", device="cpu", dtype="float32")
    service = TrackingService(network, InProcessStore(), Settings())
    answers: list[list[Any]] = []
    shapes, states = SHAPES, list[str]()
    for image in Task.of_video(FRAMES).frames:
        found = service.handle(
            {"image": base64.b64encode(image).decode(), "shapes": shapes, "states": states}
        )
        answers.append(found["shapes"])
        shapes, states = [None] * len(SHAPES), found["states"]
    return answers


@pytest.fixture
def user(cvat: LambdaManager, undisturbed: list[list[Any]]) -> User:
    """A user on task 1, with objects begun on its first frame; task 2 has frames of another size."""
    cvat.tasks[1] = Task.of_video(FRAMES)
    cvat.tasks[2] = Task.of_video([frame[:80] for frame in FRAMES])
    return User(cvat, undisturbed)
