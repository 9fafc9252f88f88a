-- What the barrier remembers: each command with its answer, and how far each do and undo have come together.
CREATE TABLE IF NOT EXISTS amends_command (
    command_id  TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'later')),
    body        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Two transactions never meet here: SQLite lets one write at a time, and the barrier begins by writing.
CREATE TABLE IF NOT EXISTS amends_pair (
    namespace   TEXT NOT NULL,
    saga_id     TEXT NOT NULL,
    step        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('refused', 'done', 'undone')),
    command_id  TEXT NOT NULL REFERENCES amends_command (command_id),
    PRIMARY KEY (namespace, saga_id, step)
) STRICT, WITHOUT ROWID;
