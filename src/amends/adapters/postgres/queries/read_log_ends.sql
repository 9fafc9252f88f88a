-- A piece of the log behind a sequence, without bodies: where each transition stands, and whether its stream has finished
-- with it and is this member's to give up: one of its shards', or any when it has the store alone ($4). What has no index
-- row has finished, unless it began so lately that its row may not be written yet (see `write_late_rows.sql`).
SELECT looked.sequence, looked.recorded_at, stream.namespace, stream.saga_id,
    looked.position + looked.events - 1 AS position,
    NOT EXISTS (
        SELECT FROM transition AS later WHERE later.stream = looked.stream AND later.position > looked.position
    ) AND NOT EXISTS (
        SELECT FROM open_instance AS open WHERE open.namespace = stream.namespace AND open.saga_id = stream.saga_id
    ) AND (
        EXISTS (SELECT FROM transition AS ending WHERE ending.stream = looked.stream AND ending.rowless)
        OR NOT EXISTS (
            SELECT FROM transition AS began
            WHERE began.stream = looked.stream AND began.position = 1
                AND began.sequence > (SELECT sequence FROM indexed)
        )
    ) AND (
        $4 OR get_byte(sha256(convert_to(stream.namespace || '/' || stream.saga_id, 'UTF8')), 0) % 64
        IN (SELECT number FROM shard WHERE token = $3)
    ) AS has_finished
FROM (
    SELECT sequence, stream, position, events, recorded_at
    FROM transition
    WHERE sequence > $1
    ORDER BY sequence
    LIMIT $2
) AS looked
JOIN stream ON stream.number = looked.stream
ORDER BY looked.sequence
