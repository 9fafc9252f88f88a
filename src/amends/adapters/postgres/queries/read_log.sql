-- A piece of the log behind a sequence: so many transitions of all streams, fewer where they are large. With what tells
-- gaps that may still be filled from those that never are: the last sequence, the oldest transaction under way, and the
-- next number that the server gives to one. The snapshot's end would not do: it lies behind the last that has ended, and
-- newer ones are under way. `age` counts from the server's next number, which is read when the snapshot is there.
SELECT sequence, namespace, saga_id, position, events, recorded_at, body,
    (SELECT max(sequence) FROM transition) AS last,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint + age(pg_snapshot_xmin(pg_current_snapshot())::xid) AS next
FROM (
    SELECT *, sum(size) OVER (ORDER BY sequence) - size AS before
    FROM (
        SELECT sequence, stream, position, events, recorded_at, body, octet_length(body::text) AS size
        FROM transition
        WHERE sequence > $1
        ORDER BY sequence
        LIMIT $2
    ) AS found
) AS measured
JOIN stream ON stream.number = measured.stream
WHERE before < $3
ORDER BY sequence
