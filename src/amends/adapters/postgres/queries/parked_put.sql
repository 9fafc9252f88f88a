INSERT INTO parked (
    id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, by, note
)
SELECT
    id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, '', ''
FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[]
) WITH ORDINALITY AS row (
    id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, place
)
ORDER BY place
ON CONFLICT (id) DO NOTHING
RETURNING id
