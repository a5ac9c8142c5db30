"""Errors that are keepsight's and, at once, of the type that Meta's predictor raises in the same place."""

from keepsight.errors import SourceError, UsageError, WeightsError

__all__ = [
    "CheckpointError",
    "MissingCheckpointError",
    "NotPromptedError",
    "StateKeyError",
    "UnreadableVideoError",
]


class NotPromptedError(UsageError, RuntimeError):
    """Tracking was asked for, or an object removed, of which nothing was said."""


class UnreadableVideoError(SourceError, NotImplementedError):
    """The video cannot be read.

    Meta raises NotImplementedError for what is neither a folder nor an MP4, and RuntimeError, which
    NotImplementedError is a kind of, for a folder without JPEGs.
    """


class CheckpointError(WeightsError, RuntimeError):
    """A checkpoint is damaged or does not fit its configuration."""


class MissingCheckpointError(WeightsError, FileNotFoundError):
    """There is no such checkpoint."""


class StateKeyError(UsageError, KeyError):
    """An entry of Meta's inference state that has no counterpart here."""

    def __str__(self) -> str:
        # KeyError shows its message as a quoted key.
        return str(self.args[0])
