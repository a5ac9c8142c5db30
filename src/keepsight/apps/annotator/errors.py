"""What the annotator refuses, each with the HTTP status that it is told with."""

from keepsight.errors import KeepsightError

__all__ = [
    "BusyError",
    "ForbiddenError",
    "ModelNotReadyError",
    "NoSuchError",
    "ProjectError",
    "ProjectFullError",
    "ProjectInUseError",
    "TooLargeError",
]


class ProjectError(KeepsightError):
    """The project file cannot be opened, read or written."""

    status = 409


class ProjectFullError(ProjectError):
    """There is no room for a change; it was not made, and all before it is kept."""

    status = 507


class ProjectInUseError(ProjectError):
    """Another server works on the project."""


class NoSuchError(KeepsightError, LookupError):
    """There is no such object, frame, shape or run."""

    status = 404


class BusyError(KeepsightError):
    """Something else has to come first: a run to end, a lock to be opened, a run to be there."""

    status = 409


class ForbiddenError(KeepsightError):
    """Something lies outside what the server was given."""

    status = 403


class TooLargeError(KeepsightError, ValueError):
    """A request has more bytes than are taken."""

    status = 413


class ModelNotReadyError(KeepsightError):
    """The model is still being loaded, or could not be."""

    status = 503
