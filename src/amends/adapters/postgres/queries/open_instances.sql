-- The first page of index rows in key order.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
ORDER BY namespace, saga_id
LIMIT $1
