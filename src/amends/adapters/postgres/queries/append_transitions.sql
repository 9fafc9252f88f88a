-- Store a batch that begins no stream and leaves all other rows alone, if the member may still write: most of them.
-- Answers 1, or 0 when the member was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), stored AS (
    INSERT INTO transition (stream, position, events, recorded_at, body)
    SELECT * FROM unnest($2::bigint[], $3::integer[], $4::integer[], $5::timestamptz[], $6::json[])
    WHERE EXISTS (SELECT FROM guard)
)
SELECT count(*) FROM guard
