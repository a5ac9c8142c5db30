"""The application: everything that answers requests, put together."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from keepsight.apps.annotator.frames import FrameShelf
from keepsight.apps.annotator.server.answers import add_error_answers
from keepsight.apps.annotator.server.events import EventHub, event_routes
from keepsight.apps.annotator.server.gate import Door, Gate
from keepsight.apps.annotator.server.page import add_page
from keepsight.apps.annotator.server.routes import (
    file_routes,
    frame_routes,
    object_routes,
    project_routes,
    review_routes,
    run_routes,
    shape_routes,
)
from keepsight.apps.annotator.studio import Studio

__all__ = ["bare_app", "build_app"]


def bare_app(studio: Studio, shelf: FrameShelf, fingerprint: str, models: tuple[str, ...]) -> FastAPI:
    """The routes without the gate.

    Args:
        studio: what does everything.
        shelf: where frames come from.
        fingerprint: of the video.
        models: the names of the models that a page may ask for.
    """
    app = FastAPI(
        title="keepsight annotate",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    add_error_answers(app)
    for router in (
        project_routes(studio, fingerprint, models),
        frame_routes(shelf, fingerprint),
        shape_routes(studio),
        object_routes(studio),
        run_routes(studio, models),
        review_routes(studio),
        file_routes(studio),
        event_routes(EventHub(studio)),
    ):
        app.include_router(router)
    add_page(app)
    return app


def build_app(
    studio: Studio, shelf: FrameShelf, fingerprint: str, models: tuple[str, ...], door: Door
) -> ASGIApp:
    """The application behind its gate; see `bare_app`."""
    return Gate(bare_app(studio, shelf, fingerprint, models), door)
