"""The WebSocket: every event to every page."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from keepsight.apps.annotator.studio import Studio

__all__ = ["EventHub", "event_routes"]

PAGE_SECONDS = 0.3  # what a page takes from its first event to being there
MOST_WAITING = 1000  # events that a slow page may be behind before it has to begin anew


class EventHub:
    """Brings events from the threads on which they happen to the pages.

    A page that falls too far behind is disconnected; it connects again and asks for everything anew.

    Args:
        studio: where they happen. It begins to load its model when the first page is there: PyTorch's import
            would hold that page up.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def serve(self, socket: WebSocket) -> None:
        """Sends every event to one page until it goes."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[str | None] = asyncio.Queue()

        def put(text: str) -> None:
            if waiting.qsize() < MOST_WAITING:
                waiting.put_nowait(text)
            elif waiting.qsize() == MOST_WAITING:
                waiting.put_nowait(None)

        def listener(event: dict[str, Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(put, json.dumps(event, separators=(",", ":")))

        await socket.accept()
        unlisten = self._studio.listen(listener)
        # Elsewhere: while the project is being written, asking it waits, and every other page would as well.
        revision = await run_in_threadpool(lambda: self._studio.project.revision)
        hello = json.dumps({"type": "hello", "revision": revision})
        loop.call_later(PAGE_SECONDS, self._studio.start)
        listening = asyncio.create_task(_until_gone(socket))
        try:
            await self._send_all(socket, hello, waiting, listening)
        finally:
            unlisten()
            listening.cancel()

    async def _send_all(
        self, socket: WebSocket, hello: str, waiting: "asyncio.Queue[str | None]", gone: "asyncio.Task[None]"
    ) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_text(hello)
        while True:
            event = asyncio.create_task(waiting.get())
            await asyncio.wait({event, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                event.cancel()
                return
            text = event.result()
            try:
                if text is None:
                    await socket.close(1013, "Too far behind; connect again.")
                    return
                await socket.send_text(text)
            except (WebSocketDisconnect, RuntimeError):
                return


async def _until_gone(socket: WebSocket) -> None:
    """Reads, and forgets, what a page sends: that is how it is noticed that it went."""
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
    except (WebSocketDisconnect, RuntimeError):
        return


def event_routes(hub: EventHub) -> APIRouter:
    """The route of the WebSocket."""
    router = APIRouter()

    @router.websocket("/api/events")
    async def events(socket: WebSocket) -> None:
        await hub.serve(socket)

    return router
