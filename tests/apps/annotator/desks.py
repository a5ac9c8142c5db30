"""The application over a studio, as a client in the same process sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.testclient import TestClient

from keepsight.apps.annotator.frames import FrameShelf
from keepsight.apps.annotator.server.app import build_app
from keepsight.apps.annotator.server.gate import Door
from keepsight.apps.annotator.studio import Studio

__all__ = ["ADDRESS", "MODELS", "client_of", "error_of"]

ADDRESS = "http://127.0.0.1:8265"
MODELS = ("pocket", "sam3")
DOOR = Door("127.0.0.1", 8265)


@contextmanager
def client_of(studio: Studio, door: Door = DOOR, address: str = ADDRESS) -> Iterator[TestClient]:
    """A client of a server over a studio."""
    shelf = FrameShelf(studio.clip.opened(), studio.clip.frames)
    app = build_app(studio, shelf, "24-80x48-1000", MODELS, door)
    try:
        with TestClient(app, base_url=address, raise_server_exceptions=False) as client:
            yield client
    finally:
        shelf.close()


def error_of(answer: Any, status: int) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    sentence: str = answer.json()["error"]
    assert sentence.endswith((".", "'keepsight[serve]'"))
    return sentence
