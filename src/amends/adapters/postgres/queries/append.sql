-- Store a batch, if the member may still write: what begins, what becomes of the index rows, the transitions in the
-- order given, the inbox rows that they follow from. One statement, so one transaction and one way to the server and
-- back; a place that is taken fails all of it. The member's row is locked first, so that who fences it waits, and the
-- transaction has its number before it takes sequences. Answers 1, or 0 when the member was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT * FROM unnest($2::text::bigint[], string_to_array($3::text, E'\x01'), string_to_array($4::text, E'\x01'))
    WHERE EXISTS (SELECT FROM guard)
), kept AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding, shard)
    SELECT namespace, saga_id,
        timestamptz '2000-01-01 00:00:00+00'
            + since / 1000000 * interval '1 second' + since % 1000000 * interval '1 microsecond',
        outstanding,
        get_byte(sha256(convert_to(namespace || '/' || saga_id, 'UTF8')), 0) % 64
    FROM unnest(
        string_to_array($5::text, E'\x01'), string_to_array($6::text, E'\x01'),
        $7::text::bigint[], $8::text::boolean[]
    ) AS given (namespace, saga_id, since, outstanding)
    WHERE EXISTS (SELECT FROM guard)
    ON CONFLICT (namespace, saga_id) DO UPDATE
    SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
), removed AS (
    DELETE FROM open_instance
    USING unnest(
        string_to_array($9::text, E'\x01'), string_to_array($10::text, E'\x01')
    ) AS ended (namespace, saga_id)
    WHERE open_instance.namespace = ended.namespace AND open_instance.saga_id = ended.saga_id
        AND EXISTS (SELECT FROM guard)
), handled AS (
    DELETE FROM inbox
    USING unnest(
        $11::text::bigint[], string_to_array(convert_from($12::bytea, 'UTF8'), E'\x01')::json[]
    ) AS done (number, answer)
    WHERE inbox.number = done.number AND EXISTS (SELECT FROM guard)
    RETURNING inbox.number, inbox.sender, done.answer
), answered AS (
    INSERT INTO inbox_answer (number, sender, body)
    SELECT number, sender, answer FROM handled WHERE sender IS NOT NULL
    ON CONFLICT (number) DO NOTHING
), stored AS (
    INSERT INTO transition (stream, position, events, recorded_at, body)
    SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body
    FROM unnest(
        $13::text::bigint[], $14::text::integer[], $15::text::integer[], $16::text::bigint[],
        string_to_array(convert_from($17::bytea, 'UTF8'), E'\x01')::json[]
    ) AS given (stream, position, events, since, body)
    WHERE EXISTS (SELECT FROM guard)
)
SELECT count(*) FROM guard
