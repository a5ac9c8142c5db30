"""Shapes and clicks."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.apps.annotator.project import Said
from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import (
    LAST_FRAME,
    Changed,
    PromptBody,
    SeenAnswer,
    ShapeAnswer,
    ShapeBody,
    ShapesAnswer,
)
from keepsight.apps.annotator.server.routes.objects import ObjectPath
from keepsight.apps.annotator.studio import Studio
from keepsight.errors import PromptError

__all__ = ["shape_routes"]

FrameQuery = Annotated[int, Query(ge=0, le=LAST_FRAME)]
FramePath = Annotated[int, Path(ge=0, le=LAST_FRAME)]


def shape_routes(studio: Studio) -> APIRouter:
    """The routes of shapes and clicks."""
    router = APIRouter(tags=["shapes"])

    @router.get("/api/shapes", response_model=ShapesAnswer, responses=documented())
    def shapes(
        start: FrameQuery = 0,
        stop: Annotated[int | None, Query(ge=0, le=LAST_FRAME)] = None,
        number: Annotated[int | None, Query(alias="object", ge=1, le=2**53)] = None,
    ) -> dict[str, Any]:
        """The stored shapes, and what was clicked, of frames from `start` to before `stop`."""
        revision = studio.project.revision
        found = studio.project.shapes(start, stop, number)
        said = studio.project.all_said(start, stop, number)
        return {
            "revision": revision,
            "shapes": [shape.to_json() for shape in found],
            "prompts": [_said_json(each) for each in said],
        }

    @router.get("/api/shapes/{frame}", response_model=SeenAnswer, responses=documented(404))
    def seen(frame: FramePath) -> dict[str, Any]:
        """What is there on a frame, between keyframes too."""
        if frame >= studio.clip.frames:
            raise NoSuchError(f"Expected a frame from 0 to {studio.clip.frames - 1}, but got {frame}.")
        revision = studio.project.revision
        return {
            "revision": revision,
            "shapes": [
                {**shape.to_json(), "kind": kind, "interpolated": between}
                for shape, kind, between in studio.seen(frame)
            ],
            "prompts": [_said_json(said) for said in studio.project.all_said(frame, frame + 1)],
        }

    @router.post(
        "/api/objects/{number}/prompt", response_model=ShapeAnswer, responses=documented(404, 503, 507)
    )
    def prompt(number: ObjectPath, body: PromptBody) -> dict[str, Any]:
        """Says by clicks which object is meant; the answer is its shape."""
        if len(body.points) != len(body.labels):
            raise PromptError(
                f"Expected one label per point, but got {len(body.points)} points and {len(body.labels)} "
                f"labels."
            )
        points = [(x, y) for x, y in body.points]
        box = None if body.box is None else (body.box[0], body.box[1], body.box[2], body.box[3])
        shape, said, change = studio.prompt(
            number, body.frame, points, body.labels, box, replaced=body.replace
        )
        return {"shape": shape.to_json(), "prompt": _said_json(said), "revision": change.revision}

    @router.delete("/api/objects/{number}/prompt", response_model=ShapeAnswer, responses=documented(404, 507))
    def unprompt(number: ObjectPath, frame: FrameQuery) -> dict[str, Any]:
        """Takes back all clicks on a frame; what they corrected is there again."""
        shape, change = studio.unprompt(number, frame)
        return {"shape": None if shape is None else shape.to_json(), "revision": change.revision}

    @router.put("/api/objects/{number}/shape", response_model=ShapeAnswer, responses=documented(404, 507))
    def draw(number: ObjectPath, body: ShapeBody) -> dict[str, Any]:
        """Puts a shape drawn by hand on a frame."""
        shape, change = studio.draw(number, body.frame, body.points, outside=body.outside)
        return {"shape": shape.to_json(), "revision": change.revision}

    @router.delete("/api/objects/{number}/shape", response_model=Changed, responses=documented(404, 507))
    def erase(number: ObjectPath, frame: FrameQuery) -> dict[str, Any]:
        """Removes the shape of an object on a frame."""
        return {"revision": studio.erase(number, frame).revision}

    return router


def _said_json(said: Said) -> dict[str, Any]:
    return {
        "object": said.object,
        "frame": said.frame,
        "points": said.points,
        "labels": said.labels,
        "box": said.box,
    }
