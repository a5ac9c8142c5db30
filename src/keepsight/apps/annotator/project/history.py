"""Undo and redo, kept in the project file: they survive a restart.

A step is what one action changed; a run's step is written to again and again as its frames come. Steps undone
stay until something new is done. Every function runs inside its caller's transaction.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from keepsight.apps.annotator.project.schema import KEYS, TABLES

__all__ = [
    "DEPTH",
    "Touched",
    "begin",
    "end",
    "forget_undone",
    "next_names",
    "overtaken",
    "redo",
    "rejoin",
    "take_back",
    "touched",
    "undo",
]

DEPTH = 1000  # steps kept


class Touched(NamedTuple):
    """What a step changed: whether objects, and object and frame of shapes and prompts."""

    objects: bool
    shapes: tuple[tuple[int, int], ...]


def begin(link: sqlite3.Connection, name: str) -> int:
    """A new step; what is changed from now on belongs to it. Steps undone are forgotten."""
    forget_undone(link)
    step = link.execute("INSERT INTO steps (name) VALUES (?)", (name,)).lastrowid or 0
    link.execute("UPDATE recording SET step = ?", (step,))
    return step


def forget_undone(link: sqlite3.Connection) -> None:
    """Forgets the steps undone: something else happens in their place."""
    link.execute("DELETE FROM steps WHERE undone = 1")


def rejoin(link: sqlite3.Connection, step: int) -> bool:
    """Goes on with a step if it is the last one and not undone; whether it is."""
    last = link.execute("SELECT max(id), undone FROM steps").fetchone()
    if last != (step, 0):
        return False
    link.execute("UPDATE recording SET step = ?", (step,))
    return True


def end(link: sqlite3.Connection, step: int, *, keep: bool = False) -> Touched:
    """Ends the recording of a step, and forgets it if nothing was changed and it is not to be kept."""
    link.execute("UPDATE recording SET step = NULL")
    changed = touched(link, step)
    if not changed.objects and not changed.shapes and not keep:
        link.execute("DELETE FROM steps WHERE id = ?", (step,))
    # A run that is going on still writes into its step, and what came after it can only be undone first.
    link.execute(
        "DELETE FROM steps WHERE id <= ? AND NOT EXISTS "
        "(SELECT 1 FROM runs WHERE state = 'running' AND json_extract(spec, '$.step') <= steps.id)",
        (step - DEPTH,),
    )
    return changed


def touched(link: sqlite3.Connection, step: int) -> Touched:
    """What a step changed so far."""
    rows = link.execute('SELECT "table", key FROM changes WHERE step = ?', (step,)).fetchall()
    frames = {tuple(int(part) for part in key.split(":")) for table, key in rows if table != "objects"}
    return Touched(any(table == "objects" for table, _ in rows), tuple(sorted((a, b) for a, b in frames)))


def overtaken(link: sqlite3.Connection, step: int, table: str, key: str) -> bool:
    """Whether a later step changed a row.

    Written by the earlier one now, it would be neither what the later one left nor what that goes back to.
    """
    # The steps come first: they are few, and what each changed of one row is looked up.
    found = link.execute(
        "SELECT 1 FROM steps CROSS JOIN changes ON changes.step = steps.id "
        'WHERE steps.id > ? AND "table" = ? AND key = ? LIMIT 1',
        (step, table, key),
    ).fetchone()
    return found is not None


def next_names(link: sqlite3.Connection) -> tuple[str | None, str | None]:
    """What undo would take back and redo would do again."""
    undo = link.execute("SELECT name FROM steps WHERE undone = 0 ORDER BY id DESC LIMIT 1").fetchone()
    redo = link.execute("SELECT name FROM steps WHERE undone = 1 ORDER BY id LIMIT 1").fetchone()
    return (undo and undo[0], redo and redo[0])


def undo(link: sqlite3.Connection) -> tuple[int, str] | None:
    """Takes back the last step; its id and name, or None if there is none."""
    found = link.execute("SELECT id, name FROM steps WHERE undone = 0 ORDER BY id DESC LIMIT 1").fetchone()
    if found is None:
        return None
    step, name = int(found[0]), str(found[1])
    changes = link.execute('SELECT "table", key, before FROM changes WHERE step = ?', (step,)).fetchall()
    for table, key, _ in changes:
        link.execute(
            'UPDATE changes SET after = ? WHERE step = ? AND "table" = ? AND key = ?',
            (_row(link, table, key), step, table, key),
        )
    _put_back(link, changes)
    link.execute("UPDATE steps SET undone = 1 WHERE id = ?", (step,))
    return step, name


def redo(link: sqlite3.Connection) -> tuple[int, str] | None:
    """Does again what was undone last; its id and name, or None if there is none."""
    found = link.execute("SELECT id, name FROM steps WHERE undone = 1 ORDER BY id LIMIT 1").fetchone()
    if found is None:
        return None
    step, name = int(found[0]), str(found[1])
    _put_back(
        link, link.execute('SELECT "table", key, after FROM changes WHERE step = ?', (step,)).fetchall()
    )
    link.execute("UPDATE steps SET undone = 0 WHERE id = ?", (step,))
    return step, name


def take_back(link: sqlite3.Connection, step: int) -> Touched:
    """Makes a step as if it had never been, even where others came after it: what they changed stays.

    A row that a later step changed again is left as it is; what that step goes back to becomes what was
    there before this one. A later step that only removed what this one had made has nothing left to do.
    """
    changed = touched(link, step)
    rows, overtaking = [], set()
    for table, key, before in link.execute(
        'SELECT "table", key, before FROM changes WHERE step = ?', (step,)
    ).fetchall():
        later = link.execute(
            'SELECT min(step) FROM changes WHERE step > ? AND "table" = ? AND key = ?', (step, table, key)
        ).fetchone()[0]
        if later is None:
            rows.append((table, key, before))
        else:
            overtaking.add(later)
            _base_on(link, later, table, key, before)
    _put_back(link, rows)
    link.execute("DELETE FROM steps WHERE id = ?", (step,))
    for later in overtaking:
        link.execute(
            "DELETE FROM steps WHERE id = ? AND NOT EXISTS (SELECT 1 FROM changes WHERE step = steps.id)",
            (later,),
        )
    return changed


def _base_on(link: sqlite3.Connection, step: int, table: str, key: str, before: str | None) -> None:
    """Says what a step goes back to on a row; a row that was not there and is not after it is none of its."""
    where = 'step = ? AND "table" = ? AND key = ?'
    if before is None and _after(link, step, table, key) is None:
        link.execute(f"DELETE FROM changes WHERE {where}", (step, table, key))
    else:
        link.execute(f"UPDATE changes SET before = ? WHERE {where}", (before, step, table, key))


def _after(link: sqlite3.Connection, step: int, table: str, key: str) -> str | None:
    """What a row was after a step: what the next one goes back to, or what it is now."""
    found = link.execute(
        'SELECT before FROM changes WHERE step > ? AND "table" = ? AND key = ? ORDER BY step LIMIT 1',
        (step, table, key),
    ).fetchone()
    return _row(link, table, key) if found is None else found[0]


def _put_back(link: sqlite3.Connection, rows: Iterable[tuple[str, str, str | None]]) -> None:
    """Makes rows what they are told to be; None removes one."""
    link.execute("PRAGMA defer_foreign_keys = ON")
    told = list(rows)
    for table in TABLES:
        for text in (row[2] for row in told if row[0] == table and row[2] is not None):
            _insert(link, table, json.loads(text))
    for table in reversed(TABLES):
        where = " AND ".join(f"{column} = ?" for column in KEYS[table])
        for key in (row[1] for row in told if row[0] == table and row[2] is None):
            link.execute(f"DELETE FROM {table} WHERE {where}", key.split(":"))


def _insert(link: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    columns, keys = TABLES[table], KEYS[table]
    changed = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in keys)
    link.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed}",
        [row[column] for column in columns],
    )


def _row(link: sqlite3.Connection, table: str, key: str) -> str | None:
    columns = ", ".join(f"'{column}', {column}" for column in TABLES[table])
    where = " AND ".join(f"{column} = ?" for column in KEYS[table])
    found = link.execute(
        f"SELECT json_object({columns}) FROM {table} WHERE {where}", key.split(":")
    ).fetchone()
    return None if found is None else str(found[0])
