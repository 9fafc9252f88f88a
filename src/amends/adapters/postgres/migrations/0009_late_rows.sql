-- Index rows are written late. Most instances end within a second of their beginning, and a row that is inserted and
-- deleted again costs the server a fifth of all that it does for them. So a member keeps the rows of what it has begun in
-- memory first, and writes those of instances that are still open a little later.
--
-- Everything that a member began up to the sequence `indexed`, and that has not ended, has its row. What it began behind
-- that, and has neither ended nor a row, is open as well: whoever takes its shards over gives such instances their rows.
-- Until then the shards keep the sequence of the member that is gone; NULL: nothing is missing.
ALTER TABLE member ADD COLUMN indexed bigint NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE shard ADD COLUMN indexed bigint;

-- True in the transition from which on an instance needs no row: the one with which it ended. NULL, which takes no room,
-- in all others.
ALTER TABLE transition ADD COLUMN rowless boolean;

-- Up to where the log need not be searched for open instances that have no row; NULL: nowhere.
CREATE VIEW indexed AS
SELECT least(
    (SELECT min(indexed) FROM member WHERE NOT fenced),
    (SELECT min(indexed) FROM shard)
) AS sequence;

-- What is open and has no row yet, as a row that is too early rather than too late.
CREATE VIEW late_instance AS
SELECT stream.namespace, stream.saga_id, began.recorded_at AS wake_at, true AS outstanding,
    (get_byte(sha256(convert_to(stream.namespace || '/' || stream.saga_id, 'UTF8')), 0) % 64)::smallint AS shard
FROM transition AS began
CROSS JOIN LATERAL (SELECT namespace, saga_id FROM stream WHERE number = began.stream LIMIT 1) AS stream
WHERE began.sequence > (SELECT sequence FROM indexed)
    AND began.position = 1
    AND (
        SELECT later.rowless FROM transition AS later
        WHERE later.stream = began.stream AND later.rowless
        LIMIT 1
    ) IS NULL
    AND (
        SELECT kept.outstanding FROM open_instance AS kept
        WHERE kept.namespace = stream.namespace AND kept.saga_id = stream.saga_id
    ) IS NULL;

-- For people, and for whoever looks at a store that others run on: everything that is open.
CREATE VIEW open_saga AS
SELECT namespace, saga_id, wake_at, outstanding, shard FROM open_instance
UNION ALL
SELECT namespace, saga_id, wake_at, outstanding, shard FROM late_instance;
