-- Put streams back, their transitions to their places in the log.
WITH begun AS (
    INSERT INTO stream (number, namespace, saga_id)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])
)
INSERT INTO transition (sequence, stream, position, events, recorded_at, body) OVERRIDING SYSTEM VALUE
SELECT * FROM unnest($4::bigint[], $5::bigint[], $6::integer[], $7::integer[], $8::timestamptz[], $9::json[])
