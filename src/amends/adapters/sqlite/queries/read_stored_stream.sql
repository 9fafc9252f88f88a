-- A whole stream with its places in the log.
SELECT sequence, position, events, recorded_at, CAST(body AS BLOB)
FROM transition
WHERE stream = (SELECT number FROM stream WHERE namespace = ?1 AND saga_id = ?2)
ORDER BY position
