-- Store any batch, if the member may still write: what begins, what becomes of the index rows, the transitions in the
-- order given, the inbox rows that they follow from. One statement, so one transaction and one way to the server and
-- back; a place that is taken fails all of it. The member's row is locked first, so that who fences it waits, and the
-- transaction has its number before it takes sequences. Says how many transitions it stored; none, when the member was
-- fenced. A statement makes ready for every table that it names, so the usual batches have shorter ones. What is to go is
-- found by its key and not by a join: see `append_ended.sql`.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT unnest($2::text::bigint[]), unnest(string_to_array($3::text, E'\x01')),
        unnest(string_to_array($4::text, E'\x01'))
    FROM guard
), kept AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding, shard)
    SELECT namespace, saga_id,
        timestamptz '2000-01-01 00:00:00+00'
            + since / 1000000 * interval '1 second' + since % 1000000 * interval '1 microsecond',
        outstanding, shard
    FROM (
        SELECT unnest(string_to_array($5::text, E'\x01')) AS namespace,
            unnest(string_to_array($6::text, E'\x01')) AS saga_id,
            unnest($7::text::bigint[]) AS since, unnest($8::text::boolean[]) AS outstanding,
            unnest($9::text::smallint[]) AS shard
        FROM guard
    ) AS given
    ON CONFLICT (namespace, saga_id) DO UPDATE
    SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
), removed AS (
    DELETE FROM open_instance
    WHERE ctid = ANY (ARRAY(
        SELECT (
            SELECT kept.ctid FROM open_instance AS kept
            WHERE kept.namespace = ended.namespace AND kept.saga_id = ended.saga_id
        )
        FROM (
            SELECT unnest(string_to_array($10::text, E'\x01')) AS namespace,
                unnest(string_to_array($11::text, E'\x01')) AS saga_id
            FROM guard
        ) AS ended
    ))
), done AS (
    SELECT $12::text::bigint[] AS numbers, string_to_array(convert_from($13::bytea, 'UTF8'), E'\x01') AS answers
    FROM guard
), handled AS (
    DELETE FROM inbox WHERE number = ANY ((SELECT numbers FROM done)::bigint[])
    RETURNING
        number, sender,
        (SELECT answers FROM done)[array_position((SELECT numbers FROM done), number)]::json AS answer
), answered AS (
    INSERT INTO inbox_answer (number, sender, body)
    SELECT number, sender, answer FROM handled WHERE sender IS NOT NULL
    ON CONFLICT (number) DO NOTHING
)
INSERT INTO transition (stream, position, events, recorded_at, body, rowless)
SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body::json,
    rowless
FROM (
    SELECT unnest($14::text::bigint[]) AS stream, unnest($15::text::integer[]) AS position,
        unnest($16::text::integer[]) AS events, unnest($17::text::bigint[]) AS since,
        unnest(string_to_array(convert_from($18::bytea, 'UTF8'), E'\x01')) AS body,
        unnest($19::text::boolean[]) AS rowless
    FROM guard
) AS given
