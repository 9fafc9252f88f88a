-- Give up streams that still end where they did, have finished, and do not have the newest transition of the log; `place`
-- counts the given ones from 1. Only what this member decides, if it may still write: a shard that it leases is not let go
-- before this is done. Who has the store alone ($5) decides everything. What another session is looking at is left for
-- the next time. Whether an instance is open is asked for each by its key: see `append_ended.sql`; one that began lately
-- may be so without a row (see `write_late_rows.sql`).
WITH guard AS (
    SELECT token FROM member WHERE token = $4 AND NOT fenced FOR KEY SHARE
), leased AS (
    SELECT number FROM shard WHERE token = $4 ORDER BY number FOR SHARE
), finished AS (
    SELECT given.place, stream.number
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS given (namespace, saga_id, last, place)
    JOIN stream ON stream.namespace = given.namespace AND stream.saga_id = given.saga_id
    WHERE given.last = (
        SELECT position + events - 1 FROM transition
        WHERE transition.stream = stream.number
        ORDER BY position DESC
        LIMIT 1
    )
    AND (
        SELECT open.saga_id FROM open_instance AS open
        WHERE open.namespace = stream.namespace AND open.saga_id = stream.saga_id
    ) IS NULL
    AND (
        (SELECT rowless FROM transition WHERE transition.stream = stream.number AND rowless LIMIT 1)
        OR (
            SELECT sequence > coalesce((SELECT sequence FROM indexed), sequence) FROM transition
            WHERE transition.stream = stream.number
            ORDER BY position
            LIMIT 1
        ) IS NOT TRUE
    )
    AND EXISTS (SELECT FROM guard)
    AND (
        $5 OR get_byte(sha256(convert_to(stream.namespace || '/' || stream.saga_id, 'UTF8')), 0) % 64
        IN (SELECT number FROM leased)
    )
    AND stream.number <> (SELECT stream FROM transition ORDER BY sequence DESC LIMIT 1)
    FOR UPDATE OF stream SKIP LOCKED
), emptied AS (
    DELETE FROM transition USING finished WHERE transition.stream = finished.number
), removed AS (
    DELETE FROM stream USING finished WHERE stream.number = finished.number
)
SELECT place, number FROM finished
