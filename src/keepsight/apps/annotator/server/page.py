"""The page's files, as they lie in the package."""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

__all__ = ["PAGE", "add_page"]

PAGE = Path(str(files("keepsight.apps.annotator"))) / "page"
MISSING = "<!doctype html><title>keepsight</title><p>This build of keepsight has no page.</p>"
_CACHING = {"cache-control": "no-cache"}


class _PageFiles(StaticFiles):
    """Files that browsers ask after each time, by their ETag, so that an upgrade is seen at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_CACHING)
        return response


def add_page(app: FastAPI, folder: Path = PAGE) -> None:
    """Serves the page at / and what it is made of under /page/."""

    @app.get("/", include_in_schema=False, response_class=HTMLResponse)
    def page() -> Response:
        index = folder / "index.html"
        if not index.is_file():
            return HTMLResponse(MISSING, 200, headers=_CACHING)
        return FileResponse(index, media_type="text/html", headers=_CACHING)

    app.mount("/page", _PageFiles(directory=folder, check_dir=False), name="page")
