-- Store a batch in which streams begin or end, and none of those that end has an index row, if the member may still write.
-- Those that begin get theirs later: see `write_late_rows.sql`. Says how many transitions it stored; none, when the member
-- was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT unnest($2::text::bigint[]), unnest(string_to_array($3::text, E'\x01')),
        unnest(string_to_array($4::text, E'\x01'))
    FROM guard
)
INSERT INTO transition (stream, position, events, recorded_at, body, rowless)
SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body::json,
    rowless
FROM (
    SELECT unnest($5::text::bigint[]) AS stream, unnest($6::text::integer[]) AS position,
        unnest($7::text::integer[]) AS events, unnest($8::text::bigint[]) AS since,
        unnest(string_to_array(convert_from($9::bytea, 'UTF8'), E'\x01')) AS body,
        unnest($10::text::boolean[]) AS rowless
    FROM guard
) AS given
