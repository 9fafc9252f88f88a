-- Records that nobody could act on, with their bytes. `saga_id` and `code` are empty where they are not known, never null.
CREATE TABLE parked (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL CONSTRAINT parked_id UNIQUE,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    headers bytea NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    saga_id text COLLATE "C" NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'parked', 'replayed', 'discarded')),
    parked_at timestamptz NOT NULL,
    until timestamptz,
    settled_at timestamptz,
    by text NOT NULL,
    note text NOT NULL
);

CREATE INDEX parked_state ON parked (state, number);
