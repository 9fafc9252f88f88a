-- A further page of index rows, starting behind a key.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
WHERE (namespace, saga_id) > ($2, $3)
ORDER BY namespace, saga_id
LIMIT $1
