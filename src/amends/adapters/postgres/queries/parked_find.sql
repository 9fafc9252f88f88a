SELECT
    number, id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, settled_at, by, note
FROM parked
WHERE
    number > $1
    AND (cardinality($2::text[]) = 0 OR state = ANY ($2))
    AND ($3::text = '' OR namespace = $3)
    AND ($4::text = '' OR saga_id = $4)
    AND ($5::text = '' OR topic = $5)
    AND ($6::text = '' OR code = $6)
ORDER BY number
LIMIT $7
