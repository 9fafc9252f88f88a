SELECT
    number, id, topic, partition, "offset", timestamp_ms, key, value, headers, namespace, saga_id, code, reason, state,
    parked_at, until, settled_at, by, note
FROM parked
WHERE
    number > :after
    AND (:states = '[]' OR state IN (SELECT value FROM json_each(:states)))
    AND (:namespace = '' OR namespace = :namespace)
    AND (:saga_id = '' OR saga_id = :saga_id)
    AND (:topic = '' OR topic = :topic)
    AND (:code = '' OR code = :code)
ORDER BY number
LIMIT :limit
