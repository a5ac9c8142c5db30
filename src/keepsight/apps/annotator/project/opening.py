"""Opening a project, or creating it; and everything that may be in the way, as sentences."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from keepsight.apps.annotator.errors import ProjectError
from keepsight.apps.annotator.project.failures import shown, telling
from keepsight.apps.annotator.project.lock import ProjectLock
from keepsight.apps.annotator.project.project import Project
from keepsight.apps.annotator.project.schema import APPLICATION_ID, FORMAT, SCHEMA
from keepsight.apps.annotator.project.values import Fingerprint

__all__ = ["open_project", "saved_source"]

BUSY_SECONDS = 5.0
_MAGIC = b"SQLite format 3\0"


def open_project(path: Path, fingerprint: Fingerprint, source: Path, address: str = "") -> Project:
    """Opens the project of a video, or creates it.

    A run that was going on when an earlier server ended is marked as interrupted.

    Args:
        path: the project file.
        fingerprint: of the video as it is now.
        source: where the video is; kept so that the project can be opened without naming it.
        address: where this server can be reached, for another one's message.

    Returns:
        The project, locked for this process; `notes` says what a person should know.

    Raises:
        ProjectInUseError: another server works on it.
        ProjectError: it is no project, damaged, of a newer version, of another video, or cannot be written.
    """
    lock = ProjectLock(path)
    try:
        lock.announce(address)
        with telling(path):
            link = _connected(path)
            try:
                _check(link, path)
                notes = _matched(link, path, fingerprint, source)
                link.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")
                link.execute("UPDATE recording SET step = NULL")
            except BaseException:
                link.close()
                raise
        return Project(link, path, lock, notes)
    except BaseException:
        lock.release()
        raise


def saved_source(path: Path) -> Path:
    """The video that a project was made of.

    Raises:
        ProjectError: there is no such project, or it cannot be read.
    """
    if not path.is_file():
        raise ProjectError(
            f"Expected a project file, but {path} does not exist. Name the video to begin one."
        )
    with telling(path):
        link = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _check(link, path)
            found = link.execute("SELECT value FROM meta WHERE key = 'source'").fetchone()
        finally:
            link.close()
    if found is None:
        raise ProjectError(
            f"Expected the project {path} to say which video it is of, but it does not. Name it as well."
        )
    return Path(os.fsdecode(found[0]))


def _connected(path: Path) -> sqlite3.Connection:
    """A connection with the tables in place."""
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ProjectError(
                    f"Expected a keepsight project, but {path} is something else. Move it away, or name "
                    f"another file with --project."
                )
    link = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if fresh or not link.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            link.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        else:
            _check(link, path)
        link.execute("PRAGMA journal_mode = WAL")
        # In WAL mode this loses nothing when the process is killed; a power cut may cost the last changes.
        link.execute("PRAGMA synchronous = NORMAL")
        link.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        link.close()
        if fresh:
            path.unlink(missing_ok=True)
        raise
    return link


def _check(link: sqlite3.Connection, path: Path) -> None:
    application = link.execute("PRAGMA application_id").fetchone()[0]
    version = link.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise ProjectError(
            f"Expected a keepsight project, but {path} is another program's database. Move it away, or name "
            f"another file with --project."
        )
    if version > FORMAT:
        raise ProjectError(
            f"Expected a project of format {FORMAT} or older, but {path} has format {version}: a newer "
            f"keepsight made it. Upgrade with: pip install --upgrade keepsight. The file was not changed."
        )


def _matched(link: sqlite3.Connection, path: Path, fingerprint: Fingerprint, source: Path) -> tuple[str, ...]:
    """Compares the video with the one that the project was made of; what there is to say about it."""
    meta = dict(link.execute("SELECT key, value FROM meta").fetchall())
    now = json.dumps(asdict(fingerprint))
    rows = [("fingerprint", now), ("source", _kept(source)), ("revision", "0")]
    with _at_once(link):
        link.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", rows)
    if "fingerprint" not in meta:
        return ()
    before = Fingerprint(**json.loads(meta["fingerprint"]))
    if (before.width, before.height) != (fingerprint.width, fingerprint.height):
        raise ProjectError(
            f"Expected the video that {path} was made of, {before.width} x {before.height} pixels, but "
            f"{source.name} now has {fingerprint.width} x {fingerprint.height}. Put the old video back, or "
            f"begin a new project with --project. The project was not changed."
        )
    notes: tuple[str, ...] = ()
    if fingerprint.frames < before.frames:
        # The old number stays on record, so the note is there until the video is whole again.
        return (
            f"{shown(source.name)} had {before.frames} frames when this project was saved, and now has "
            f"{fingerprint.frames}. What was annotated on the missing frames is kept, and is there again "
            f"when the video is.",
        )
    if fingerprint != before:
        more = fingerprint.frames - before.frames
        what = f"has {more} more frames than" if more else "is another file than"
        notes = (f"{shown(source.name)} {what} when this project was saved. Check that shapes still fit.",)
    with _at_once(link):
        link.executemany("UPDATE meta SET value = ? WHERE key = ?", [(value, key) for key, value in rows[:2]])
    return notes


@contextmanager
def _at_once(link: sqlite3.Connection) -> Iterator[None]:
    """All that is written in the block, or, when it is cut off, nothing."""
    link.execute("BEGIN IMMEDIATE")
    try:
        yield
        link.execute("COMMIT")
    except BaseException:
        if link.in_transaction:
            link.execute("ROLLBACK")
        raise


def _kept(source: Path) -> str | bytes:
    """A path as the project keeps it: as text, or as its bytes where they are no text."""
    try:
        str(source).encode()
    except UnicodeEncodeError:
        return os.fsencode(source)
    return str(source)
