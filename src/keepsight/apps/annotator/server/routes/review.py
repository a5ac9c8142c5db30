"""Where a mask is likely wrong."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query

from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import BothWaysBody, Changed, ReviewAnswer
from keepsight.apps.annotator.studio import Studio

if TYPE_CHECKING:
    from keepsight.review import Stretch

__all__ = ["review_routes"]


def review_routes(studio: Studio) -> APIRouter:
    """The routes of the review queue."""
    router = APIRouter(prefix="/api/review", tags=["review"])

    @router.get("", response_model=ReviewAnswer, responses=documented(404))
    def review(
        number: Annotated[int | None, Query(alias="object", ge=1, le=2**53)] = None,
    ) -> dict[str, Any]:
        """Stretches of frames worth a look, the likeliest wrong first."""
        if number is not None:
            studio.project.subject(number)
        revision = studio.project.revision
        if studio.worker.model.state == "loading":
            return {"revision": revision, "stretches": []}  # A request must not wait for PyTorch's import.
        found = studio.review.stretches(number, running=studio.runs.current is not None)
        return {"revision": revision, "stretches": [_stretch_json(each) for each in found]}

    @router.post("/both-ways", response_model=Changed, responses=documented(404, 503))
    def both_ways(body: BothWaysBody) -> dict[str, Any]:
        """Tracks an object back as well, and ranks anew by where the two ways differ."""
        studio.comparing.begin(body.object, studio.policy)
        return {"revision": studio.project.revision}

    return router


def _stretch_json(stretch: "Stretch") -> dict[str, Any]:
    return {
        "object": stretch.object_id,
        "start": stretch.start,
        "stop": stretch.stop,
        "frame": stretch.frame,
        "risk": stretch.risk,
        "reasons": list(stretch.reasons),
    }
