INSERT INTO parked (
    id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, by, note
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, '', '')
ON CONFLICT (id) DO NOTHING
RETURNING number
