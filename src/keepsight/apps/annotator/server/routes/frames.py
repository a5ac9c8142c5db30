"""The video's frames."""

import asyncio
import threading
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.apps.annotator.frames import FrameShelf
from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import LAST_FRAME

__all__ = ["frame_routes"]

FOR_GOOD = "private, max-age=31536000, immutable"


def frame_routes(shelf: FrameShelf, fingerprint: str) -> APIRouter:
    """The route of frames.

    Args:
        shelf: where they come from.
        fingerprint: of the video; an address that has it is good for ever.
    """
    router = APIRouter(tags=["frames"])

    @router.get(
        "/api/frames/{frame}.jpg",
        response_class=Response,
        responses={
            **documented(404),
            200: {"content": {"image/jpeg": {}}, "description": "The frame as a JPEG file"},
        },
    )
    async def jpeg(
        request: Request,
        frame: Annotated[int, Path(ge=0, le=LAST_FRAME)],
        version: Annotated[str | None, Query(alias="v", max_length=200)] = None,
    ) -> Response:
        """A frame; the ones after it are made ready meanwhile."""
        if version is not None and version != fingerprint:
            raise NoSuchError("The video has changed since this page was loaded. Load the page again.")
        caching = FOR_GOOD if version == fingerprint else "no-cache"
        code = await _waited(request, shelf, frame)
        return Response(code, media_type="image/jpeg", headers={"cache-control": caching})

    return router


async def _waited(request: Request, shelf: FrameShelf, frame: int) -> bytes:
    """A frame, unless the page goes on meanwhile: then it need not be made."""
    gone = threading.Event()
    making = asyncio.ensure_future(run_in_threadpool(shelf.jpeg, frame, gone))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({making, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            gone.set()
            shelf.wake()
        return await making
    finally:
        leaving.cancel()


async def _left(request: Request) -> None:
    """Returns when whoever asked has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
