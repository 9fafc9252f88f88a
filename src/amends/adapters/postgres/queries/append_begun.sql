-- Store a batch in which streams begin, each with an index row that is not there yet, and of which nothing else becomes
-- but transitions, if the member may still write. Says how many transitions it stored; none, when the member was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT unnest($2::text::bigint[]), unnest(string_to_array($3::text, E'\x01')),
        unnest(string_to_array($4::text, E'\x01'))
    FROM guard
), opened AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding, shard)
    SELECT namespace, saga_id,
        timestamptz '2000-01-01 00:00:00+00'
            + since / 1000000 * interval '1 second' + since % 1000000 * interval '1 microsecond',
        outstanding, shard
    FROM (
        SELECT unnest(string_to_array($3::text, E'\x01')) AS namespace,
            unnest(string_to_array($4::text, E'\x01')) AS saga_id,
            unnest($5::text::bigint[]) AS since, unnest($6::text::boolean[]) AS outstanding,
            unnest($7::text::smallint[]) AS shard
        FROM guard
    ) AS given
)
INSERT INTO transition (stream, position, events, recorded_at, body)
SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body::json
FROM (
    SELECT unnest($8::text::bigint[]) AS stream, unnest($9::text::integer[]) AS position,
        unnest($10::text::integer[]) AS events, unnest($11::text::bigint[]) AS since,
        unnest(string_to_array(convert_from($12::bytea, 'UTF8'), E'\x01')) AS body
    FROM guard
) AS given
