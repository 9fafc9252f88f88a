-- The read model: one row per instance, and up to where the log is in them. It is built anew instead of migrated: who
-- changes anything here raises VERSION in read_model.py. Times are microseconds since 1970-01-01 UTC.
CREATE TABLE saga (
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    saga TEXT NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    business_status TEXT NOT NULL,
    paused INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    stuck TEXT NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;

-- The order of all lists.
CREATE INDEX saga_started ON saga (started_at, namespace, id);

-- The few that are open among the many that have ended.
CREATE INDEX saga_open ON saga (started_at, namespace, id) WHERE ended_at IS NULL;

CREATE INDEX saga_counted ON saga (namespace, saga, status);

CREATE TABLE checkpoint (
    number INTEGER PRIMARY KEY CHECK (number = 0),
    sequence INTEGER NOT NULL,
    mark TEXT NOT NULL
) STRICT;
