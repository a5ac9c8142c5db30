"""Files that stay readable whatever happens: whole or absent, or a run of whole lines."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from keepsight.errors import OutputError

__all__ = ["LineFile", "beside", "new_file", "output_errors"]

_ADVICE = {
    errno.ENOSPC: "The disk is full: free some space, or choose an output folder on another disk.",
    errno.EDQUOT: "The disk quota is used up: free some space, or choose an output folder on another disk.",
    errno.EFBIG: "The file grew past the size allowed here: choose an output folder on another disk.",
    errno.EACCES: "Permission was denied: choose an output folder that you may write to.",
    errno.EPERM: "Permission was denied: choose an output folder that you may write to.",
    errno.EROFS: "The disk is read-only: choose an output folder on another disk.",
    errno.ENOENT: "The folder does not exist (any more): create it, or choose another one.",
    errno.EEXIST: "Something of this name is in the way: move it away, or choose another output folder.",
    errno.ENOTDIR: "A file stands where a folder is needed: choose another output folder.",
    errno.EISDIR: "A folder stands where the file belongs: move it away, or choose another output folder.",
}
_OTHER_ADVICE = "Check the disk, or choose another output folder."


def beside(path: Path, suffix: str) -> Path:
    """The path of a companion file: `tracks.json` and ".partial" give `tracks.json.partial`."""
    return path.with_name(path.name + suffix)


@contextmanager
def output_errors(path: Path, kept: str = "") -> Iterator[None]:
    """Turns an `OSError` inside the block into an `OutputError` that names the file and the next act.

    Args:
        path: the file or folder being written.
        kept: a sentence on what has been saved all the same.

    Raises:
        OutputError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, _OTHER_ADVICE)
        message = f"Expected to write '{path}', but it failed: {reason}. {advice} {kept}"
        raise OutputError(message.strip()) from error


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that replaces `path` in one step when the block ends well, and vanishes when it does not.

    Raises:
        OSError: the file cannot be written; `path` is then as it was.
    """
    partial = beside(path, ".new")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class LineFile:
    """A text file that grows by whole lines and holds, after every `append`, everything appended so far.

    Nothing is buffered in the process, so a crash loses nothing, and an append that fails (a full disk)
    leaves no broken line behind.

    Args:
        path: the file, emptied if it exists.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._size = 0

    def append(self, lines: bytes) -> int:
        """Writes one or more lines, each with its line end.

        Returns:
            The position of the first byte written.

        Raises:
            OSError: they could not be written; the file is as it was before.
            ValueError: the file is closed.
        """
        start, rest = self._size, memoryview(lines)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            self._size += len(lines)
        finally:
            if rest:
                self._cut(start)
        return start

    def _cut(self, size: int) -> None:
        # Devices and pipes cannot be cut; the error that brought us here is the one worth telling.
        if self.path.is_file():
            self._file.truncate(size)
            self._file.seek(size)

    def close(self) -> None:
        """Closes the file; harmless when repeated."""
        self._file.close()
