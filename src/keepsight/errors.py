"""The errors keepsight raises on purpose.

    KeepsightError
    ├── PromptError        a prompt that does not fit the frame, the object or the other prompts
    ├── SourceError        a video, folder, camera or frame that cannot be read
    │   └── FrameIndexError    a frame number outside the video
    ├── UnknownObjectError an object id that the session does not track
    ├── WeightsError       a checkpoint or configuration that is missing, damaged or does not fit
    │   └── UnknownModelError  a name that the catalogue does not have
    ├── PolicyError        an unknown memory policy, or a policy used against its rules
    ├── OutputError        a result that cannot be written
    ├── AnnotationError    an annotation file (JSON, XML) that cannot be understood
    ├── StoreError         a snapshot store that does not do what it was asked
    │   ├── MissingSnapshotError   a token that is unknown or has expired
    │   ├── ConflictError          a token that another request has used up already
    │   └── StoreUnavailableError  a store that cannot be reached, or is full
    ├── SnapshotError      a packed session that is not what was expected
    │   ├── DamagedSnapshotError   bytes that are truncated, changed, or no snapshot at all
    │   ├── SnapshotFormatError    a snapshot that another version of keepsight wrote
    │   └── ForeignSnapshotError   a snapshot of another model, policy, image size or shape type
    └── UsageError         a call or command line that contradicts itself

Every message says what was expected, what came, and what to do next.
"""

__all__ = [
    "AnnotationError",
    "ConflictError",
    "DamagedSnapshotError",
    "ForeignSnapshotError",
    "FrameIndexError",
    "KeepsightError",
    "MissingSnapshotError",
    "OutputError",
    "PolicyError",
    "PromptError",
    "SnapshotError",
    "SnapshotFormatError",
    "SourceError",
    "StoreError",
    "StoreUnavailableError",
    "UnknownModelError",
    "UnknownObjectError",
    "UsageError",
    "WeightsError",
]


class KeepsightError(Exception):
    """Base of every error keepsight raises on purpose."""


class PromptError(KeepsightError, ValueError):
    """A prompt does not fit the frame, the object or the other prompts."""


class SourceError(KeepsightError):
    """A video, folder, camera or single frame cannot be read."""


class FrameIndexError(SourceError, IndexError):
    """A frame number lies outside the video."""


class UnknownObjectError(KeepsightError, LookupError):
    """The session does not track an object of this id."""


class WeightsError(KeepsightError):
    """A checkpoint or its configuration is missing, damaged or does not fit."""


class UnknownModelError(WeightsError, LookupError):
    """The catalogue has no model of this name."""


class PolicyError(KeepsightError, ValueError):
    """A memory policy is unknown or used against its rules."""


class OutputError(KeepsightError):
    """A result cannot be written."""


class AnnotationError(KeepsightError, ValueError):
    """An annotation file cannot be understood."""


class StoreError(KeepsightError):
    """A snapshot store does not do what it was asked."""


class MissingSnapshotError(StoreError, LookupError):
    """A token is unknown or has expired."""


class ConflictError(StoreError):
    """A token was used up by another request."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The store cannot be reached, or is full."""


class SnapshotError(KeepsightError, ValueError):
    """A packed session is not what was expected."""


class DamagedSnapshotError(SnapshotError):
    """Bytes are truncated, changed, or no snapshot at all."""


class SnapshotFormatError(SnapshotError):
    """Another version of keepsight wrote the snapshot."""


class ForeignSnapshotError(SnapshotError):
    """The snapshot is of another model, policy, image size or shape type."""


class UsageError(KeepsightError, ValueError):
    """A call or command line contradicts itself."""
