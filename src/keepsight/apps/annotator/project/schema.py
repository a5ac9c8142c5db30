"""The project's tables, and the triggers that write its history."""

__all__ = ["APPLICATION_ID", "FORMAT", "KEYS", "SCHEMA", "TABLES"]

FORMAT = 1
APPLICATION_ID = 0x6B736774  # "ksgt", in the file's header: what tells a project from another SQLite file

TABLES = {
    "objects": ("id", "name", "colour", "kind", "tracked", "shown", "locked", "position"),
    "prompts": ("object", "frame", "said"),
    "shapes": ("object", "frame", "source", "outside", "points", "score", "presence"),
}
"""The tables that history watches, in the order in which their rows can be put back."""

KEYS = {"objects": ("id",), "prompts": ("object", "frame"), "shapes": ("object", "frame")}

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    colour TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('mask', 'polygon', 'rectangle')),
    tracked INTEGER NOT NULL CHECK (tracked IN (0, 1)),
    shown INTEGER NOT NULL CHECK (shown IN (0, 1)),
    locked INTEGER NOT NULL CHECK (locked IN (0, 1)),
    position INTEGER NOT NULL
);
CREATE TABLE prompts (
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    frame INTEGER NOT NULL CHECK (frame >= 0),
    said TEXT NOT NULL,
    PRIMARY KEY (object, frame)
) WITHOUT ROWID;
CREATE TABLE shapes (
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    frame INTEGER NOT NULL CHECK (frame >= 0),
    source TEXT NOT NULL CHECK (source IN ('manual', 'prompted', 'auto')),
    outside INTEGER NOT NULL CHECK (outside IN (0, 1)),
    points TEXT NOT NULL,
    score REAL,
    presence REAL,
    PRIMARY KEY (object, frame)
);
CREATE INDEX shapes_of_frame ON shapes (frame);
CREATE TABLE steps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE changes (
    step INTEGER NOT NULL REFERENCES steps (id) ON DELETE CASCADE,
    "table" TEXT NOT NULL,
    key TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (step, "table", key)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    spec TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'cancelled', 'interrupted')),
    reached INTEGER
);
-- How far tracking forward and back agree; of shapes as they were, so history has no part in it.
CREATE TABLE agreements (
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    frame INTEGER NOT NULL,
    value REAL NOT NULL,
    shape INTEGER NOT NULL,
    PRIMARY KEY (object, frame)
) WITHOUT ROWID;
-- The step that changes belong to now; none while history itself puts rows back.
CREATE TABLE recording (only INTEGER PRIMARY KEY CHECK (only = 1), step INTEGER);
INSERT INTO recording VALUES (1, NULL);
"""

# Of all changes that a step makes to a row, the first tells what the row was before the step. What it was
# after the step is read off the row when the step is undone, so a run writes every shape once, not twice.
_TRIGGER = """
CREATE TRIGGER {table}_{event} AFTER {event} ON {table}
WHEN (SELECT step FROM recording) IS NOT NULL
BEGIN
    INSERT INTO changes (step, "table", key, before)
    SELECT (SELECT step FROM recording), '{table}', {key}, {before}
    WHERE NOT EXISTS (
        SELECT 1 FROM changes
        WHERE step = (SELECT step FROM recording) AND "table" = '{table}' AND key = {key}
    );
END;
"""


def _trigger(table: str, event: str) -> str:
    row = "NEW" if event == "INSERT" else "OLD"
    key = " || ':' || ".join(f"{row}.{column}" for column in KEYS[table])
    columns = ", ".join(f"'{column}', OLD.{column}" for column in TABLES[table])
    before = "NULL" if event == "INSERT" else f"json_object({columns})"
    return _TRIGGER.format(table=table, event=event, key=key, before=before)


SCHEMA = _TABLES + "".join(_trigger(t, e) for t in TABLES for e in ("INSERT", "UPDATE", "DELETE"))
