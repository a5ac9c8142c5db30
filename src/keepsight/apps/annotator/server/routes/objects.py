"""Objects: made, changed, removed."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import Changed, ObjectAnswer, ObjectBody, ObjectPatch
from keepsight.apps.annotator.studio import Studio

__all__ = ["ObjectPath", "object_routes"]

ObjectPath = Annotated[int, Path(ge=1, le=2**53)]


def object_routes(studio: Studio) -> APIRouter:
    """The routes of objects."""
    router = APIRouter(prefix="/api/objects", tags=["objects"])

    @router.post("", response_model=ObjectAnswer, responses=documented(507))
    def add(body: ObjectBody) -> dict[str, Any]:
        """A new object."""
        subject, change = studio.add_subject(
            body.kind, name=body.name, colour=body.colour, tracked=body.tracked
        )
        return {"object": asdict(subject), "revision": change.revision}

    @router.patch("/{number}", response_model=ObjectAnswer, responses=documented(404, 507))
    def patch(number: ObjectPath, body: ObjectPatch) -> dict[str, Any]:
        """Changes an object; a new kind converts its shapes."""
        subject, change = studio.change_subject(number, body.model_dump(exclude_none=True))
        return {"object": asdict(subject), "revision": change.revision}

    @router.delete("/{number}", response_model=Changed, responses=documented(404, 507))
    def drop(number: ObjectPath) -> dict[str, Any]:
        """Removes an object with all its shapes."""
        return {"revision": studio.drop_subject(number).revision}

    return router
