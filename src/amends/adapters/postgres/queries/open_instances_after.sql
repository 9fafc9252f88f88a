-- A further page of what is open, with what has no row yet, starting behind a key.
(
    SELECT namespace, saga_id, wake_at, outstanding FROM open_instance
    WHERE (namespace, saga_id) > ($2, $3)
    ORDER BY namespace, saga_id
    LIMIT $1
)
UNION ALL
(
    SELECT namespace, saga_id, wake_at, outstanding FROM late_instance
    WHERE (namespace, saga_id) > ($2, $3)
    ORDER BY namespace, saga_id
    LIMIT $1
)
ORDER BY namespace, saga_id
LIMIT $1
