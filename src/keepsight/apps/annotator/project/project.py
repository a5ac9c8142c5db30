"""Reading and changing a project."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from keepsight.apps.annotator.errors import NoSuchError
from keepsight.apps.annotator.project import history
from keepsight.apps.annotator.project.failures import told
from keepsight.apps.annotator.project.lock import ProjectLock
from keepsight.apps.annotator.project.values import Change, Run, RunSpec, RunState, Said, Shape, Subject

__all__ = ["Project", "Writer"]

_SUBJECT = "id, name, colour, kind, tracked, shown, locked"
_SHAPE = "object, frame, source, outside, points, score, presence"


class Project:
    """An open project. Its methods may be called from any thread; they wait for each other.

    Args:
        link: a connection to its file.
        path: the file.
        lock: what keeps other servers off it.
        notes: what a person should know of how it was opened.
    """

    def __init__(
        self, link: sqlite3.Connection, path: Path, lock: ProjectLock, notes: Sequence[str] = ()
    ) -> None:
        self._link = link
        self._lock = lock
        self._busy = threading.RLock()
        self.path = path
        self.notes = tuple(notes)

    def close(self) -> None:
        """Writes everything into the one file and lets go of it. Harmless when repeated."""
        with self._busy:
            self._link.close()
            self._lock.release()

    def announce(self, address: str) -> None:
        """Says where the server that holds this project can be reached."""
        self._lock.announce(address)

    @contextmanager
    def change(self, name: str, joins: int | None = None) -> Iterator["Writer"]:
        """One step of history: all that is written in the block, or, after an exception, nothing.

        Args:
            name: what it does, as people read it beside undo.
            joins: a step that it becomes a part of, if that is still the last one.

        Raises:
            ProjectError: it cannot be saved.
        """
        with self._transaction():
            if joins is not None and history.rejoin(self._link, joins):
                step = joins
            else:
                step = history.begin(self._link, name)
            writer = Writer(self._link, step)
            yield writer
            touched = history.end(self._link, step)
            if touched.objects or touched.shapes:
                writer.done = Change(self._revised(), step, name, *touched)
            else:
                writer.done = Change(self.revision, None, name)

    @contextmanager
    def run_change(self, run: int) -> Iterator["Writer"]:
        """What a run writes: a part of the run's own step."""
        with self._transaction():
            step = self.run(run).spec.step
            self._link.execute("UPDATE recording SET step = ?", (step,))
            writer = Writer(self._link, step)
            yield writer
            self._link.execute("UPDATE recording SET step = NULL")
            places = tuple(sorted(writer.places))
            writer.done = Change(self._revised(), step, "", writer.objects, places)

    def undo(self) -> Change | None:
        """Takes back the last step; None if there is none."""
        return self._walk(history.undo)

    def redo(self) -> Change | None:
        """Does again what was taken back last; None if nothing was."""
        return self._walk(history.redo)

    @property
    def revision(self) -> int:
        """Grows by one with each change."""
        return int(self._one("SELECT value FROM meta WHERE key = 'revision'")[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the video's frames in pixels."""
        known = json.loads(self._one("SELECT value FROM meta WHERE key = 'fingerprint'")[0])
        return known["height"], known["width"]

    @property
    def next_names(self) -> tuple[str | None, str | None]:
        """What undo would take back, and what redo would do again."""
        with self._reading():
            return history.next_names(self._link)

    def subjects(self) -> list[Subject]:
        """All objects, in the order in which they are listed."""
        rows = self._all(f"SELECT {_SUBJECT} FROM objects ORDER BY position, id")
        return [_subject(row) for row in rows]

    def subject(self, number: int) -> Subject:
        """One object.

        Raises:
            NoSuchError: there is none of this id.
        """
        row = self._one(f"SELECT {_SUBJECT} FROM objects WHERE id = ?", number)
        if row is None:
            raise NoSuchError(f"Expected the id of an object, but there is no object {number} (any more).")
        return _subject(row)

    def shape(self, number: int, frame: int) -> Shape | None:
        """The shape stored of an object on a frame."""
        row = self._one(f"SELECT {_SHAPE} FROM shapes WHERE object = ? AND frame = ?", number, frame)
        return None if row is None else _shape(row)

    def shape_before(self, number: int, frame: int) -> Shape | None:
        """The last shape stored at or before a frame."""
        query = f"SELECT {_SHAPE} FROM shapes WHERE object = ? AND frame <= ? ORDER BY frame DESC LIMIT 1"
        row = self._one(query, number, frame)
        return None if row is None else _shape(row)

    def shape_after(self, number: int, frame: int) -> Shape | None:
        """The first shape stored after a frame."""
        query = f"SELECT {_SHAPE} FROM shapes WHERE object = ? AND frame > ? ORDER BY frame LIMIT 1"
        row = self._one(query, number, frame)
        return None if row is None else _shape(row)

    def shapes(self, start: int = 0, stop: int | None = None, number: int | None = None) -> list[Shape]:
        """The stored shapes of frames from `start` to before `stop`, by object and frame."""
        query = f"SELECT {_SHAPE} FROM shapes WHERE frame >= ? AND frame < ? AND (? IS NULL OR object = ?)"
        rows = self._all(query + " ORDER BY object, frame", start, _end(stop), number, number)
        return [_shape(row) for row in rows]

    def hand_edits(self, number: int) -> list[Shape]:
        """The shapes of an object that a person made, by frame."""
        query = f"SELECT {_SHAPE} FROM shapes WHERE object = ? AND source != 'auto' ORDER BY frame"
        return [_shape(row) for row in self._all(query, number)]

    def marks(self) -> list[tuple[int, int, str, bool, float | None, float | None]]:
        """Object, frame, source, outside, score and presence of every shape: what a timeline needs."""
        rows = self._all("SELECT object, frame, source, outside, score, presence FROM shapes ORDER BY 1, 2")
        return [(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows]

    def said(self, number: int, frame: int) -> Said | None:
        """What was said by clicks of an object on a frame."""
        row = self._one("SELECT said FROM prompts WHERE object = ? AND frame = ?", number, frame)
        return None if row is None else Said.from_text(number, frame, row[0])

    def all_said(self, start: int = 0, stop: int | None = None, number: int | None = None) -> list[Said]:
        """What was said on frames from `start` to before `stop`, by object and frame."""
        query = "SELECT object, frame, said FROM prompts WHERE frame >= ? AND frame < ?"
        query += " AND (? IS NULL OR object = ?) ORDER BY object, frame"
        return [Said.from_text(*row) for row in self._all(query, start, _end(stop), number, number)]

    def run(self, number: int) -> Run:
        """A run.

        Raises:
            NoSuchError: there is none of this id.
        """
        row = self._one("SELECT id, spec, state, reached FROM runs WHERE id = ?", number)
        if row is None:
            raise NoSuchError(f"Expected the id of a run, but there is no run {number}.")
        return _run(row)

    def unfinished(self) -> Run | None:
        """The last run, if it was interrupted."""
        row = self._one("SELECT id, spec, state, reached FROM runs ORDER BY id DESC LIMIT 1")
        return _run(row) if row is not None and row[2] == "interrupted" else None

    def live_runs(self) -> list[Run]:
        """The runs that were not taken back, in their order, as far as history goes."""
        query = "SELECT runs.id, spec, state, reached FROM runs JOIN steps"
        query += " ON steps.id = json_extract(spec, '$.step') AND undone = 0 ORDER BY runs.id"
        return [_run(row) for row in self._all(query)]

    def agreements(self, number: int) -> list[tuple[int, float, int]]:
        """Frame, agreement of tracking forward and back, and the print of the shape that it is about."""
        query = "SELECT frame, value, shape FROM agreements WHERE object = ?"
        return [(row[0], row[1], row[2]) for row in self._all(query, number)]

    def put_agreements(self, number: int, rows: Sequence[tuple[int, float, int]]) -> None:
        """Stores agreements in place of those of the same frames; no step of history."""
        query = "INSERT OR REPLACE INTO agreements SELECT id, ?, ?, ? FROM objects WHERE id = ?"
        with self._transaction():
            self._link.executemany(query, [(*row, number) for row in rows])

    @contextmanager
    def begin_run(self, spec: RunSpec, name: str) -> Iterator[tuple["Writer", Run]]:
        """Writes down that a run begins; what is written in the block is the beginning of its step."""
        with self._transaction():
            step = history.begin(self._link, name)
            spec = replace(spec, step=step)
            query = "INSERT INTO runs (spec, state) VALUES (?, 'running')"
            number = self._link.execute(query, (spec.text,)).lastrowid or 0
            writer = Writer(self._link, step)
            yield writer, Run(number, spec, "running", None)
            touched = history.end(self._link, step, keep=True)
            writer.done = Change(self._revised(), step, name, *touched)

    def resume_run(self, run: Run, name: str) -> Run:
        """A run goes on; if its step was undone or forgotten meanwhile, with a new one.

        What was undone since cannot be done again: the run writes where that would be.
        """
        with self._transaction():
            history.forget_undone(self._link)
            step = self._one("SELECT id FROM steps WHERE id = ?", run.spec.step)
            spec = run.spec
            if step is None:
                spec = replace(spec, step=history.begin(self._link, name))
                history.end(self._link, spec.step, keep=True)
            query = "UPDATE runs SET spec = ?, state = 'running' WHERE id = ?"
            self._link.execute(query, (spec.text, run.id))
            return replace(run, spec=spec, state="running")

    def end_run(self, number: int, state: RunState, *, keep: bool = True) -> Change:
        """Writes down how a run ended.

        Args:
            number: the run.
            state: how.
            keep: whether what it wrote stays; else it is as if the run had never been.
        """
        with self._transaction():
            step = self.run(number).spec.step
            self._link.execute("UPDATE runs SET state = ? WHERE id = ?", (state, number))
            if not keep:
                return Change(self._revised(), None, "", *history.take_back(self._link, step))
            if not any(history.touched(self._link, step)):
                self._link.execute("DELETE FROM steps WHERE id = ?", (step,))
            return Change(self._revised(), step)

    def _walk(self, go: Any) -> Change | None:
        with self._transaction():
            done = go(self._link)
            if done is None:
                return None
            step, name = done
            # A run that was taken back is not one to go on with.
            query = "UPDATE runs SET state = 'cancelled' WHERE state = 'interrupted'"
            self._link.execute(f"{query} AND json_extract(spec, '$.step') = ?", (step,))
            return Change(self._revised(), step, name, *history.touched(self._link, step))

    def _revised(self) -> int:
        self._link.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")
        return self.revision

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._reading():
            self._link.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._link.execute("COMMIT")
            except BaseException:
                if self._link.in_transaction:
                    self._link.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._busy:
            try:
                yield
            except sqlite3.Error as error:
                raise told(error, self.path) from error

    def _one(self, query: str, *values: Any) -> Any:
        with self._reading():
            return self._link.execute(query, values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._reading():
            return self._link.execute(query, values).fetchall()


class Writer:
    """Writes into an open change.

    Attributes:
        step: the step of history that it writes into.
        done: what was changed, once the block has ended.
        objects: whether objects were written so far.
        places: object and frame of the shapes and prompts written so far.
    """

    def __init__(self, link: sqlite3.Connection, step: int) -> None:
        self._link = link
        self.step = step
        self.done = Change(0)
        self.objects = False
        self.places: set[tuple[int, int]] = set()

    def add_subject(self, subject: Subject) -> Subject:
        """A new object, at the end of the list; its id is given here."""
        query = "INSERT INTO objects (name, colour, kind, tracked, shown, locked, position) VALUES"
        query += " (?, ?, ?, ?, ?, ?, (SELECT coalesce(max(position), 0) + 1 FROM objects))"
        self.objects = True
        number = self._link.execute(query, _columns(subject)).lastrowid
        return replace(subject, id=number or 0)

    def put_subject(self, subject: Subject) -> None:
        """Changes an object."""
        query = "UPDATE objects SET name = ?, colour = ?, kind = ?, tracked = ?, shown = ?, locked = ?"
        self.objects = True
        self._link.execute(query + " WHERE id = ?", (*_columns(subject), subject.id))

    def drop_subject(self, number: int) -> None:
        """Removes an object with all its shapes and prompts."""
        self.objects = True
        self._link.execute("DELETE FROM objects WHERE id = ?", (number,))

    def put_shape(self, shape: Shape) -> None:
        """Stores a shape in place of the one that its object has on its frame."""
        query = f"INSERT INTO shapes ({_SHAPE}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (object, frame)"
        query += (
            " DO UPDATE SET source = excluded.source, outside = excluded.outside, points = excluded.points,"
        )
        query += " score = excluded.score, presence = excluded.presence"
        points = json.dumps(shape.points, separators=(",", ":"))
        place = (shape.object, shape.frame, shape.source, int(shape.outside))
        row = (*place, points, shape.score, shape.presence)
        self.places.add((shape.object, shape.frame))
        self._link.execute(query, row)

    def drop_shape(self, number: int, frame: int) -> None:
        """Removes the shape of an object on a frame."""
        self.places.add((number, frame))
        self._link.execute("DELETE FROM shapes WHERE object = ? AND frame = ?", (number, frame))

    def put_said(self, said: Said) -> None:
        """Stores what was said of an object on a frame."""
        query = "INSERT INTO prompts (object, frame, said) VALUES (?, ?, ?)"
        query += " ON CONFLICT (object, frame) DO UPDATE SET said = excluded.said"
        self.places.add((said.object, said.frame))
        self._link.execute(query, (said.object, said.frame, said.text))

    def drop_said(self, number: int, frame: int) -> None:
        """Forgets what was said of an object on a frame."""
        self.places.add((number, frame))
        self._link.execute("DELETE FROM prompts WHERE object = ? AND frame = ?", (number, frame))

    def overtaken(self, number: int, frame: int) -> bool:
        """Whether a later step changed the shape of an object on a frame: it is left alone then."""
        return history.overtaken(self._link, self.step, "shapes", f"{number}:{frame}")

    def reached(self, run: int, frame: int) -> None:
        """Writes down how far a run got."""
        self._link.execute("UPDATE runs SET reached = ? WHERE id = ?", (frame, run))


def _columns(subject: Subject) -> tuple[str | int, ...]:
    flags = (int(subject.tracked), int(subject.shown), int(subject.locked))
    return (subject.name, subject.colour, subject.kind, *flags)


def _subject(row: Any) -> Subject:
    number, name, colour, kind, *flags = row
    return Subject(number, name, colour, kind, *(bool(flag) for flag in flags))


def _shape(row: Any) -> Shape:
    number, frame, source, outside, points, score, presence = row
    return Shape(number, frame, source, bool(outside), tuple(json.loads(points)), score, presence)


def _run(row: Any) -> Run:
    return Run(row[0], RunSpec.from_text(row[1]), row[2], row[3])


def _end(stop: int | None) -> int:
    return 2**62 if stop is None else stop
