"""What the function keeps of an object between two frames: its packed session, and how it is drawn."""

import zlib
from typing import NamedTuple

from keepsight.apps.cvat.wire import Drawn
from keepsight.errors import DamagedSnapshotError

__all__ = ["Kept", "answer_from_bytes", "answer_to_bytes"]

_MARK = b"kscvat1 "
_ANSWER = b"ksansw1 "


class Kept(NamedTuple):
    """One object between two frames.

    Attributes:
        shape: as last answered, or as given; what the next polygon is laid along, and what a lost rectangle
            repeats. Of a mask it is only the kind.
        session: `keepsight.session.snapshot.pack`'s bytes.
    """

    shape: Drawn
    session: bytes

    def to_bytes(self) -> bytes:
        """A line about the shape with its checksum, then the session."""
        return _sealed(_MARK, self.shape.to_json()) + b"\n" + self.session

    @classmethod
    def from_bytes(cls, data: bytes) -> "Kept":
        """What `to_bytes` wrote.

        Raises:
            DamagedSnapshotError: it is not, or was changed.
        """
        line, _, session = data.partition(b"\n")
        return cls(Drawn.from_json(_opened(_MARK, line)), session)


def answer_to_bytes(shape: Drawn | None) -> bytes:
    """An answer as it is kept for whoever repeats the request; None where the object was not found."""
    return _sealed(_ANSWER, "" if shape is None else shape.to_json())


def answer_from_bytes(data: bytes) -> Drawn | None:
    """What `answer_to_bytes` wrote.

    Raises:
        DamagedSnapshotError: it is not, or was changed.
    """
    content = _opened(_ANSWER, data)
    return Drawn.from_json(content) if content else None


def _sealed(mark: bytes, text: str) -> bytes:
    line = text.encode()
    return mark + b"%08x " % zlib.crc32(line) + line


def _opened(mark: bytes, line: bytes) -> bytes:
    start = len(mark)
    content = line[start + 9 :]
    if not line.startswith(mark) or line[start : start + 9] != b"%08x " % zlib.crc32(content):
        raise DamagedSnapshotError(
            "Expected an object's state as the CVAT function keeps it, but its bytes were changed. "
            "Start the object anew."
        )
    return content
