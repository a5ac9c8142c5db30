"""Errors as {"error": sentence}, each with its status."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from keepsight.apps.annotator.server.bodies import ErrorAnswer
from keepsight.errors import FrameIndexError, KeepsightError, OutputError, SourceError

__all__ = ["add_error_answers", "documented", "status_of"]

MEANINGS = {
    400: "What was asked makes no sense here",
    403: "The token, the host or the origin is not one that may ask",
    404: "There is no such thing",
    409: "Something else has to come first, or the project cannot be used",
    413: "Too many bytes",
    422: "The request is not of the form that is documented, or a frame cannot be decoded",
    503: "The model is not there (yet)",
    507: "The disk is full; nothing was changed",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its documentation; some are everywhere."""
    every = sorted({400, 403, 409, 413, 422, *statuses})
    return {status: {"model": ErrorAnswer, "description": MEANINGS[status]} for status in every}


def add_error_answers(app: FastAPI) -> None:
    """Makes every error of an application an `ErrorAnswer`."""
    app.add_exception_handler(KeepsightError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def _refused(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_of(error))


def status_of(error: Exception) -> int:
    """The HTTP status that an error is told with."""
    status: int | None = getattr(error, "status", None)
    if status is not None:
        return status
    if isinstance(error, SourceError) and not isinstance(error, FrameIndexError):
        return 422
    return 507 if isinstance(error, OutputError) else 400


def _malformed(request: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    place = ".".join(str(part) for part in first.get("loc", ()))
    return JSONResponse({"error": f"Expected another {place}: {first.get('msg', error)}."}, 422)


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    sentence = f"Something went wrong that was not foreseen ({type(error).__name__}). Nothing was changed."
    return JSONResponse({"error": sentence}, 500)


def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    path = request.url.path
    sentences = {
        400: "Expected JSON, but what was sent cannot be read.",
        404: f"There is nothing at {path}.",
        405: f"{request.method} is not something that can be done to {path}.",
    }
    text = sentences.get(error.status_code, f"{error.detail}.")
    return JSONResponse({"error": text}, error.status_code, error.headers)
