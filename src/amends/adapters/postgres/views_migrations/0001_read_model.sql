-- The read model: one row per instance, how many of them there are, and up to where the log is in both. Nothing is
-- stored here alone: a migration may empty the tables, then they are filled again from the log.
-- Text is compared by its bytes (collation C), so that pages come in the same order on every server.

CREATE TABLE saga (
    namespace text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    saga text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    status text COLLATE "C" NOT NULL,
    business_status text COLLATE "C" NOT NULL,
    paused boolean NOT NULL,
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    ended_at timestamptz,
    stuck text NOT NULL,
    cause text NOT NULL,
    PRIMARY KEY (namespace, id)
) WITH (fillfactor = 80);

-- The order of all lists.
CREATE INDEX saga_started ON saga (started_at, namespace, id);

-- The few that are open among the many that have ended.
CREATE INDEX saga_open ON saga (started_at, namespace, id) WHERE ended_at IS NULL;

-- Kept with the rows, in the same statement: counting millions of rows at each look would take seconds. One process
-- writes at a time, so nobody waits for these few rows.
CREATE TABLE saga_count (
    namespace text COLLATE "C" NOT NULL,
    saga text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    number bigint NOT NULL CHECK (number >= 0),
    PRIMARY KEY (namespace, saga, status)
) WITH (fillfactor = 50);

CREATE TABLE checkpoint (
    number integer PRIMARY KEY CHECK (number = 0),
    sequence bigint NOT NULL,
    mark text NOT NULL
) WITH (fillfactor = 50);

-- What pages are signed with, so that a listing that begins at one process goes on at another.
CREATE TABLE secret (
    number integer PRIMARY KEY CHECK (number = 0),
    value bytea NOT NULL CHECK (length(value) = 32)
);
