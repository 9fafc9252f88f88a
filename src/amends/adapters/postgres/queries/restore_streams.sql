-- Put streams back, their transitions to their places in the log, if the member may still write. Answers 1, or 0 when it
-- was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT * FROM unnest($2::bigint[], $3::text[], $4::text[])
    WHERE EXISTS (SELECT FROM guard)
), stored AS (
    INSERT INTO transition (sequence, stream, position, events, recorded_at, body, rowless) OVERRIDING SYSTEM VALUE
    SELECT *
    FROM unnest(
        $5::bigint[], $6::bigint[], $7::integer[], $8::integer[], $9::timestamptz[], $10::json[], $11::boolean[]
    )
    WHERE EXISTS (SELECT FROM guard)
)
SELECT count(*) FROM guard
