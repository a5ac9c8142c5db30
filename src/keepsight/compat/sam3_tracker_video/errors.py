"""Errors that are keepsight's and, at once, of the type that transformers raises in the same place."""

from keepsight.errors import FrameIndexError, UsageError

__all__ = ["InternalAttributeError", "MissingFrameError"]


class MissingFrameError(FrameIndexError, KeyError):
    """The inference session has no frame of this number, or not any more."""

    def __str__(self) -> str:
        # KeyError shows its message as a quoted key.
        return str(self.args[0])


class InternalAttributeError(UsageError, AttributeError):
    """A part of transformers' inference session that has no counterpart here."""
