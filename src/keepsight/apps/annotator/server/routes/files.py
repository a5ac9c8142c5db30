"""Files in and out."""

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from keepsight.apps.annotator.errors import ProjectFullError, TooLargeError
from keepsight.apps.annotator.exchange import FORMATS, read_file, write_file
from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import ImportedAnswer
from keepsight.apps.annotator.studio import Studio

__all__ = ["file_routes"]

FormatOut = Literal["cvat", "coco", "davis", "jsonl", "overlay"]
FormatIn = Literal["cvat", "coco", "davis", "jsonl"]
BINARY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def file_routes(studio: Studio) -> APIRouter:
    """The routes of export and import."""
    router = APIRouter(prefix="/api", tags=["files"])
    one_at_a_time = threading.Lock()

    @router.get(
        "/export",
        response_class=FileResponse,
        responses={
            **documented(507),
            200: {
                "content": {each.media_type: {} for each in FORMATS.values()},
                "description": "The project as a file",
            },
        },
    )
    def export(kind: Annotated[FormatOut, Query(alias="format")]) -> FileResponse:
        """The project as a file of a format."""
        folder = Path(tempfile.mkdtemp(prefix="keepsight-export-"))
        try:
            format = FORMATS[kind]
            path = folder / (Path(studio.clip.info.name).stem + format.suffix)
            # One at a time: an export may use a whole core and much of the disk.
            with one_at_a_time:
                write_file(kind, studio.project, studio.clip, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        return FileResponse(path, media_type=format.media_type, filename=path.name, background=gone)

    @router.post(
        "/import",
        response_model=ImportedAnswer,
        responses=documented(507),
        openapi_extra=BINARY,
    )
    async def import_(request: Request, kind: Annotated[FormatIn, Query(alias="format")]) -> dict[str, Any]:
        """Adds the objects of a file."""
        with tempfile.TemporaryDirectory(prefix="keepsight-import-") as folder:
            path = Path(folder) / "upload"
            with path.open("wb") as file:
                await _receive(request, file)
            return await run_in_threadpool(take, kind, path)

    def take(kind: FormatIn, path: Path) -> dict[str, Any]:
        incoming = read_file(kind, path, studio.clip)
        shapes, change = studio.take_in(incoming, FORMATS[kind].name)
        return {"objects": len(incoming), "shapes": shapes, "revision": change.revision}

    return router


async def _receive(request: Request, file: BinaryIO) -> None:
    """Writes a request's body to a file as it comes."""
    try:
        async for chunk in request.stream():
            await run_in_threadpool(file.write, chunk)
    except ClientDisconnect as error:
        raise TooLargeError("The file did not come to its end. Send it again.") from error
    except OSError as error:
        raise ProjectFullError(f"The file could not be received: {error.strerror}.") from error
