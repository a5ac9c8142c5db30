"""What SQLite and the system say of a project file, as sentences."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepsight.apps.annotator.errors import ProjectError, ProjectFullError

__all__ = ["shown", "telling", "told"]


def shown(path: str | Path) -> str:
    """A path as it can be printed and sent: bytes of it that are no text are written out."""
    return os.fsencode(path).decode(errors="backslashreplace")


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turns what SQLite or the system says into a sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(error, path) from error
    except OSError as error:
        raise ProjectError(
            f"Expected to open the project {path}, but it failed: {error.strerror}. Check the file, or name "
            f"another one with --project."
        ) from error


def told(error: sqlite3.Error, path: Path) -> ProjectError:
    """What SQLite says of a project file, as a sentence."""
    reason, where = str(error), shown(path)
    if "full" in reason:
        return ProjectFullError(
            f"There is no room on the disk for {where}. This change was not saved; everything before it is. "
            f"Free some space and do it again."
        )
    if "readonly" in reason or "read-only" in reason or "unable to open" in reason:
        return ProjectError(
            f"Expected to write the project {where}, but it, or its folder, can only be read. Say where the "
            f"project may be with --project."
        )
    if "locked" in reason or "busy" in reason:
        return ProjectError(f"Another program keeps {where} locked. Close it, and do this again.")
    if "disk I/O error" in reason:
        return ProjectError(
            f"The disk failed while {where} was read or written. This change was not saved; everything "
            f"before it is. Check the disk and do it again."
        )
    return ProjectError(
        f"The project {where} is damaged ({reason}). Go back to a copy of it, or move it away to begin anew."
    )
