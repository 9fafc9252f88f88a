-- Store a batch that begins no stream and leaves all other rows alone, if the member may still write: most of them.
-- Answers 1, or 0 when the member was fenced. Arrays come as one text each, which costs the
-- client a third of what a list does.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), stored AS (
    INSERT INTO transition (stream, position, events, recorded_at, body)
    SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body
    FROM unnest(
        $2::text::bigint[], $3::text::integer[], $4::text::integer[], $5::text::bigint[],
        string_to_array(convert_from($6::bytea, 'UTF8'), E'\x01')::json[]
    ) AS given (stream, position, events, since, body)
    WHERE EXISTS (SELECT FROM guard)
)
SELECT count(*) FROM guard
