-- A further page of such index rows, starting behind a key.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
WHERE shard = ANY($1::smallint[]) AND outstanding AND (namespace, saga_id) > ($3, $4)
ORDER BY namespace, saga_id
LIMIT $2
