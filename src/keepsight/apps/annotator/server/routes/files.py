"""Files in and out."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

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
from keepsight.errors import OutputError

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
        with _told("the export"):
            folder = Path(tempfile.mkdtemp(prefix="keepsight-export-"))
        try:
            format = FORMATS[kind]
            path = folder / (Path(studio.clip.info.name).stem + format.suffix)
            # One at a time: an export may use a whole core and much of the disk.
            with one_at_a_time, _told("the export"):
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
        with _told("the file"):
            folder = tempfile.TemporaryDirectory(prefix="keepsight-import-")
        with folder:
            path = Path(folder.name) / "upload"
            await _receive(request, path)
            return await run_in_threadpool(take, kind, path)

    def take(kind: FormatIn, path: Path) -> dict[str, Any]:
        found = read_file(kind, path, studio.clip)
        shapes, change = studio.take_in(found.objects, FORMATS[kind].name)
        told = {"objects": len(found.objects), "shapes": shapes, "passed_over": found.passed_over}
        return {**told, "revision": change.revision}

    return router


async def _receive(request: Request, path: Path) -> None:
    """Writes a request's body to a file as it comes."""
    try:
        # Closing is within: what is buffered until then may be what does not fit on the disk.
        with _told("the file"), path.open("wb") as file:
            async for chunk in request.stream():
                await run_in_threadpool(file.write, chunk)
    except ClientDisconnect as error:
        raise TooLargeError("The file did not come to its end. Send it again.") from error


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Tells of a temporary file that cannot be written; what a writer says it has kept is deleted with it."""
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error.__cause__ if isinstance(error, OutputError) else error
        if not isinstance(cause, OSError):
            raise
        place, reason = tempfile.gettempdir(), cause.strerror or cause
        raise ProjectFullError(
            f"Expected to write {what} in {place!r}, but it failed: {reason}. Free some space there."
        ) from error
