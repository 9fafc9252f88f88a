-- Store a batch in which instances end that have index rows, and nothing begins, if the member may still
-- write. Says how many transitions it stored; none, when the member was fenced. The index rows are looked up one by one,
-- then deleted where they are. A join would be planned by the size of the table, which short sagas leave empty again and
-- again: the server then reads all of it, for that one plan and until it has counted anew.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), removed AS (
    DELETE FROM open_instance
    WHERE ctid = ANY (ARRAY(
        SELECT (
            SELECT kept.ctid FROM open_instance AS kept
            WHERE kept.namespace = ended.namespace AND kept.saga_id = ended.saga_id
        )
        FROM (
            SELECT unnest(string_to_array($2::text, E'\x01')) AS namespace,
                unnest(string_to_array($3::text, E'\x01')) AS saga_id
            FROM guard
        ) AS ended
    ))
)
INSERT INTO transition (stream, position, events, recorded_at, body, rowless)
SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body::json,
    rowless
FROM (
    SELECT unnest($4::text::bigint[]) AS stream, unnest($5::text::integer[]) AS position,
        unnest($6::text::integer[]) AS events, unnest($7::text::bigint[]) AS since,
        unnest(string_to_array(convert_from($8::bytea, 'UTF8'), E'\x01')) AS body,
        unnest($9::text::boolean[]) AS rowless
    FROM guard
) AS given
