"""What the function keeps of an object between two frames: its packed session, and how it is drawn."""

import zlib
from typing import NamedTuple

from keepsight.apps.cvat.wire import Drawn
from keepsight.errors import DamagedSnapshotError

__all__ = ["Kept"]

_MARK = b"kscvat1 "


class Kept(NamedTuple):
    """One object between two frames.

    Attributes:
        shape: as last answered, or as given; what the next polygon is laid along, and what a lost rectangle
            repeats.
        session: `keepsight.session.snapshot.pack`'s bytes.
    """

    shape: Drawn
    session: bytes

    def to_bytes(self) -> bytes:
        """A line about the shape with its checksum, then the session."""
        line = self.shape.to_json().encode()
        return _MARK + b"%08x " % zlib.crc32(line) + line + b"\n" + self.session

    @classmethod
    def from_bytes(cls, data: bytes) -> "Kept":
        """What `to_bytes` wrote.

        Raises:
            DamagedSnapshotError: it is not, or was changed.
        """
        line, _, session = data.partition(b"\n")
        start = len(_MARK)
        content = line[start + 9 :]
        if not line.startswith(_MARK) or line[start : start + 9] != b"%08x " % zlib.crc32(content):
            raise DamagedSnapshotError(
                "Expected an object's state as the CVAT function keeps it, but its bytes were changed. "
                "Start the object anew."
            )
        return cls(Drawn.from_json(content), session)
