-- The first page of what is open in key order, with what has no row yet.
(SELECT namespace, saga_id, wake_at, outstanding FROM open_instance ORDER BY namespace, saga_id LIMIT $1)
UNION ALL
(SELECT namespace, saga_id, wake_at, outstanding FROM late_instance ORDER BY namespace, saga_id LIMIT $1)
ORDER BY namespace, saga_id
LIMIT $1
