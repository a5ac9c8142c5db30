"""What every writer of results is, and how tracks are named."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from keepsight.errors import OutputError
from keepsight.types import FrameResult

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ResultWriter", "Tracks", "frame_stem"]

_log = logging.getLogger(__name__)


class ResultWriter(Protocol):
    """Takes results one at a time, in any order of frames, and leaves readable files behind.

    A frame that comes again replaces what was written for it. Leaving the `with` block closes the
    writer, also on an error inside the block, which is the error that then reaches the caller.
    """

    def write(self, result: FrameResult) -> None:
        """Writes one frame's result.

        Raises:
            OutputError: it cannot be written; what was written before stays readable.
        """

    def close(self) -> None:
        """Completes the files; harmless when repeated.

        Raises:
            OutputError: they cannot be completed; what was written before stays readable.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except OutputError as second:
            _log.error("While closing after another error: %s", second)


class Tracks:
    """The names and identities of tracked objects.

    Args:
        names: display names by object id; may gain entries later. Objects without one are called
            "object_<id>".
        uids: identities by object id; an object without one gets a random UUID when first asked for.
    """

    def __init__(self, names: Mapping[int, str] | None = None, uids: Mapping[int, str] | None = None) -> None:
        self._names: Mapping[int, str] = {} if names is None else names
        self._uids = dict(uids or {})

    def name(self, object_id: int) -> str:
        """The name to show."""
        return self._names.get(object_id, f"object_{object_id}")

    def uid(self, object_id: int) -> str:
        """The identity, the same on every call."""
        return self._uids.setdefault(object_id, str(uuid.uuid4()))


def frame_stem(index: int) -> str:
    """A frame's file name without its ending: its number in at least five digits."""
    return f"{index:05d}"
