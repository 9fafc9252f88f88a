-- Index rows whose time has come, the earliest first.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
WHERE wake_at <= $1
ORDER BY wake_at, namespace, saga_id
LIMIT $2
