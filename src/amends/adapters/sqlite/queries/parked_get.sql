SELECT
    number, id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, settled_at, by, note
FROM parked
WHERE id = ?
