"""The project: one SQLite file beside the video that holds everything, saved on every change.

values.py   what it holds
schema.py   its tables and triggers
history.py  undo and redo
lock.py     one server at a time
failures.py what may go wrong, as sentences
opening.py  opening and creating it, and all that can be in the way
project.py  reading and changing it
"""

from keepsight.apps.annotator.project.opening import open_project
from keepsight.apps.annotator.project.project import Project, Writer
from keepsight.apps.annotator.project.values import (
    HAND_MADE,
    KINDS,
    Change,
    Direction,
    Fingerprint,
    Kind,
    Run,
    RunSpec,
    RunState,
    Said,
    Shape,
    Source,
    Subject,
)

__all__ = [
    "HAND_MADE",
    "KINDS",
    "Change",
    "Direction",
    "Fingerprint",
    "Kind",
    "Project",
    "Run",
    "RunSpec",
    "RunState",
    "Said",
    "Shape",
    "Source",
    "Subject",
    "Writer",
    "open_project",
]
