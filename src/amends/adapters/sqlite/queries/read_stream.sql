-- A stream's transitions behind a position, in order; the body as the bytes that were given.
SELECT position, events, recorded_at, CAST(body AS BLOB)
FROM transition
WHERE stream = (SELECT number FROM stream WHERE namespace = ?1 AND saga_id = ?2) AND position > ?3
ORDER BY position
LIMIT ?4
