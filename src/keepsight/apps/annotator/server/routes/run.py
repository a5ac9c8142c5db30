"""Runs: begun, cancelled, gone on with."""

from typing import Any

from fastapi import APIRouter

from keepsight.apps.annotator.names import known_model, known_policy
from keepsight.apps.annotator.project import RunSpec
from keepsight.apps.annotator.runs import run_json
from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import CancelBody, Changed, RunAnswer, RunBody
from keepsight.apps.annotator.studio import Studio

__all__ = ["run_routes"]


def run_routes(studio: Studio, models: tuple[str, ...]) -> APIRouter:
    """The routes of runs.

    Args:
        studio: what does it.
        models: the names of the models that a page may ask for.
    """
    router = APIRouter(prefix="/api/run", tags=["run"])

    @router.post("", response_model=RunAnswer, responses=documented(404, 503, 507))
    def begin(body: RunBody) -> dict[str, Any]:
        """Tracks objects from a frame to another, by one worker in the background."""
        objects = () if body.objects == "visible" else tuple(int(number) for number in body.objects)
        spec = RunSpec(
            objects,
            body.frame,
            body.target,
            body.direction,
            known_model(body.model, models) if body.model else "",
            known_policy(body.policy) if body.policy else "",
            body.convert,
        )
        running = studio.begin_run(spec)
        return {"run": run_json(running), "revision": studio.project.revision}

    @router.post("/cancel", response_model=Changed, responses=documented(404))
    def cancel(body: CancelBody) -> dict[str, Any]:
        """Ends the run after the frame it is at."""
        studio.runs.cancel(keep=body.keep)
        return {"revision": studio.project.revision}

    @router.post("/resume", response_model=RunAnswer, responses=documented(404, 503, 507))
    def resume() -> dict[str, Any]:
        """Goes on with the run that an earlier server left unfinished."""
        running = studio.runs.resume()
        return {"run": run_json(running), "revision": studio.project.revision}

    @router.post("/forget", response_model=Changed, responses=documented(404, 507))
    def forget() -> dict[str, Any]:
        """Leaves an unfinished run as it is."""
        return {"revision": studio.runs.forget().revision}

    return router
