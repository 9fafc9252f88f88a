-- Store a batch: what begins, what becomes of the index rows, the transitions in the order given. One statement, so one
-- transaction and one way to the server and back; a place that is taken fails all of it.
WITH begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
), kept AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding)
    SELECT * FROM unnest($4::text[], $5::text[], $6::timestamptz[], $7::boolean[])
    ON CONFLICT (namespace, saga_id) DO UPDATE
    SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
), removed AS (
    DELETE FROM open_instance
    USING unnest($8::text[], $9::text[]) AS ended (namespace, saga_id)
    WHERE open_instance.namespace = ended.namespace AND open_instance.saga_id = ended.saga_id
)
INSERT INTO transition (stream, position, events, recorded_at, body)
SELECT * FROM unnest($10::bigint[], $11::integer[], $12::integer[], $13::timestamptz[], $14::json[])
