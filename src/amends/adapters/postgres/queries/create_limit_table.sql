-- Where pgbench writes: a row per event as plainly as can be, in the schema that this session looks in.
CREATE TABLE line (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream bigint NOT NULL,
    position integer NOT NULL,
    recorded_at timestamptz NOT NULL,
    body json NOT NULL,
    UNIQUE (stream, position)
)
