"""One server at a time on a project: a file beside it that the operating system locks.

The system lets go of the lock when the process ends, however it ends: nobody has to clear up after a crash.
"""

import os
import sys
from pathlib import Path
from typing import BinaryIO

from keepsight.apps.annotator.errors import ProjectError, ProjectInUseError

__all__ = ["ProjectLock"]

_TRIES = 5
_FAR = 1 << 30  # Windows keeps others from reading what is locked, so a byte far behind the text is


class ProjectLock:
    """Held from its making until `release`.

    Args:
        project: the project file; the lock's file lies beside it.

    Raises:
        ProjectInUseError: another server holds it; the message names that server's address.
        ProjectError: the file cannot be made.
    """

    def __init__(self, project: Path) -> None:
        # Beside the file itself, whatever links lead to it: all who open it meet here.
        real = Path(os.path.realpath(project))
        self._path = real.with_name(real.name + ".lock")
        for _ in range(_TRIES):
            file = self._opened()
            if not _locked(file):
                address = self._address()
                file.close()
                raise ProjectInUseError(
                    f"Expected to be alone with the project {project}, but another keepsight has it open"
                    f"{f' at {address}' if address else ''}. Use that page, or stop that keepsight first."
                )
            if self._is(file):
                self._file = file
                return
            file.close()  # Whoever held it removed the file meanwhile; there may be a new one.
        raise ProjectError(f"Expected to lock {self._path}, but it changes all the time. Try again.")

    def announce(self, address: str) -> None:
        """Writes down where the server can be reached, for whoever comes later."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(address.encode())
        self._file.flush()

    def release(self) -> None:
        """Lets go and removes the file. Harmless when repeated."""
        if self._file.closed:
            return
        if sys.platform == "win32":
            self._file.close()
            self._path.unlink(missing_ok=True)
        else:
            # Removed while it is still held, so nobody removes another one's.
            self._path.unlink(missing_ok=True)
            self._file.close()

    def _opened(self) -> BinaryIO:
        try:
            return os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            raise ProjectError(
                f"Expected to write beside the project, but {self._path} cannot be made: {error.strerror}. "
                f"Say where the project may be with --project."
            ) from error

    def _address(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _is(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except OSError:
            return False


if sys.platform == "win32":
    import msvcrt

    def _locked(file: BinaryIO) -> bool:
        try:
            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
