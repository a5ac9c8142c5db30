"""The Nuclio function: `module: keepsight.apps.cvat.nuclio`, called by CVAT's lambda manager.

CVAT drops the body of an error and shows its user the status alone, so the sentence goes to the log as well:

400  the request is not as it should be: JSON, shapes, a shape outside the frame, a state twice
404  a state is unknown, expired or damaged, or another model's: the object is to be started anew
409  a state was used with another image: go on from the newest one
413  more bytes, pixels, objects or points than the deployment allows
422  the image cannot be read, or is not of the size that an object was begun on; its state stays good
500  a defect of ours; the log says more
503  the store or the memory is not to be had: send the request again
"""

import json
import time
from typing import Any

import torch

from keepsight.apps.cvat.service import TrackingService
from keepsight.apps.cvat.settings import Settings
from keepsight.apps.cvat.wire import TooLargeError
from keepsight.errors import (
    ConflictError,
    KeepsightError,
    MissingSnapshotError,
    PromptError,
    SnapshotError,
    SourceError,
    StoreUnavailableError,
    UsageError,
)
from keepsight.store import from_environment

__all__ = ["handler", "init_context"]

# The first that fits counts.
STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (TooLargeError, 413),
    (MissingSnapshotError, 404),
    (ConflictError, 409),
    (StoreUnavailableError, 503),
    (torch.OutOfMemoryError, 503),
    (MemoryError, 503),
    (SnapshotError, 404),
    (SourceError, 422),
    (PromptError, 400),
    (UsageError, 400),
    (KeepsightError, 500),
)


def init_context(context: Any) -> None:
    """Loads the model and runs it once, so that no request waits for it.

    Raises:
        KeepsightError: a setting, the model or the package for the store is not to be had; Nuclio then shows
            the function as not deployed. A store that does not answer yet is no reason: requests say so.
    """
    settings = Settings.from_environment()
    service = TrackingService.loaded(settings, from_environment())
    service.warm_up()
    context.user_data.service = service
    context.logger.info(f"keepsight tracks with {settings.model}, policy {settings.policy}.")


def handler(context: Any, event: Any) -> Any:
    """Answers one request; never raises."""
    began = time.perf_counter()
    try:
        body = context.user_data.service.handle(_body(event))
        status = 200
    except Exception as error:  # noqa: BLE001 - whatever went wrong, CVAT is told by a status
        status = status_of(error)
        body = {"error": str(error) if status != 500 else "The tracker failed; its log says how."}
        log = context.logger.error if status >= 500 else context.logger.warn
        log(f"{status} {type(error).__name__}: {error}")
    elapsed = 1000 * (time.perf_counter() - began)
    context.logger.debug(f"{status} in {elapsed:.0f} ms")
    return context.Response(
        body=json.dumps(body), headers={}, content_type="application/json", status_code=status
    )


def status_of(error: BaseException) -> int:
    """The HTTP status that tells an error best."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def _body(event: Any) -> Any:
    """The request's JSON; Nuclio has read it already where the content type said so."""
    body = event.body
    if not isinstance(body, bytes | str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"Expected a JSON object, but the body is none: {error}.") from error
