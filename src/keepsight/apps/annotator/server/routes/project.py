"""The project as a whole, and its history."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from keepsight.apps.annotator.names import POLICIES
from keepsight.apps.annotator.run import Running
from keepsight.apps.annotator.runs import run_json
from keepsight.apps.annotator.server.answers import documented
from keepsight.apps.annotator.server.bodies import ProjectAnswer, TimelineAnswer, WalkAnswer
from keepsight.apps.annotator.studio import Studio

__all__ = ["project_routes"]


def project_routes(studio: Studio, fingerprint: str, models: tuple[str, ...]) -> APIRouter:
    """The routes of the project.

    Args:
        studio: what does it.
        fingerprint: of the video.
        models: the names of the models that a page may ask for.
    """
    router = APIRouter(tags=["project"])

    @router.get("/api/project", response_model=ProjectAnswer, responses=documented())
    def project() -> dict[str, Any]:
        """Everything but the shapes."""
        info, running = studio.clip.info, studio.runs.current
        left = studio.project.unfinished()
        undo, redo = studio.project.next_names
        return {
            "revision": studio.project.revision,
            "source": {
                "name": info.name,
                "width": info.width,
                "height": info.height,
                "frames": studio.clip.frames,
                "rate": None if info.rate is None else float(info.rate),
                "fingerprint": fingerprint,
            },
            "model": asdict(studio.worker.model),
            "models": list(models),
            "policies": list(POLICIES),
            "policy": studio.policy,
            "objects": [asdict(subject) for subject in studio.project.subjects()],
            "undo": undo,
            "redo": redo,
            "run": None if running is None else run_json(running),
            "unfinished": (
                None if left is None else run_json(Running(studio.project, left, studio.clip.frames))
            ),
            "comparing": studio.comparing.object,
            "notes": list(studio.project.notes),
        }

    @router.get("/api/timeline", response_model=TimelineAnswer, responses=documented())
    def timeline() -> dict[str, Any]:
        """Which frames of each object have shapes, and what the network said of them."""
        revision = studio.project.revision
        columns: dict[int, dict[str, Any]] = {
            subject.id: {"frames": [], "score": [], "presence": [], "source": [], "outside": []}
            for subject in studio.project.subjects()
        }
        for number, frame, source, outside, score, presence in studio.project.marks():
            column = columns.get(number)
            if column is not None:
                column["frames"].append(frame)
                column["source"].append(source[0])
                column["outside"].append(int(outside))
                column["score"].append(score)
                column["presence"].append(presence)
        objects = [{"object": n, **c, "source": "".join(c["source"])} for n, c in columns.items()]
        return {"revision": revision, "objects": objects}

    @router.post("/api/undo", response_model=WalkAnswer, responses=documented(507))
    def undo() -> dict[str, Any]:
        """Takes back the last step."""
        change = studio.undo()
        return {"revision": change.revision, "name": change.name}

    @router.post("/api/redo", response_model=WalkAnswer, responses=documented(507))
    def redo() -> dict[str, Any]:
        """Does again what was taken back last."""
        change = studio.redo()
        return {"revision": change.revision, "name": change.name}

    return router
