"""The routes, one file per noun; each is a function that makes a router over the studio."""

from keepsight.apps.annotator.server.routes.files import file_routes
from keepsight.apps.annotator.server.routes.frames import frame_routes
from keepsight.apps.annotator.server.routes.objects import object_routes
from keepsight.apps.annotator.server.routes.project import project_routes
from keepsight.apps.annotator.server.routes.review import review_routes
from keepsight.apps.annotator.server.routes.run import run_routes
from keepsight.apps.annotator.server.routes.shapes import shape_routes

__all__ = [
    "file_routes",
    "frame_routes",
    "object_routes",
    "project_routes",
    "review_routes",
    "run_routes",
    "shape_routes",
]
