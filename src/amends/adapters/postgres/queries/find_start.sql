-- A start of an instance that waits in the inbox.
SELECT number FROM inbox
WHERE shard = $1 AND parked IS NULL AND namespace = $2 AND saga_id = $3 AND kind = 'start'
ORDER BY number
LIMIT 1
