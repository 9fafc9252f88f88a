-- Records that nobody could act on. `saga_id` and `code` are empty where they are not known, never null.
CREATE TABLE parked (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    key BLOB,
    value BLOB,
    headers BLOB NOT NULL,
    namespace TEXT NOT NULL,
    saga_id TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'parked', 'replayed', 'discarded')),
    parked_at INTEGER NOT NULL,
    until INTEGER,
    settled_at INTEGER,
    by TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;

CREATE INDEX parked_open ON parked (state, number);
