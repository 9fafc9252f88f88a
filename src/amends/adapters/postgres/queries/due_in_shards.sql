-- Index rows of some shards whose time has come, the earliest first.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
WHERE wake_at <= $2 AND shard = ANY($1::smallint[])
ORDER BY wake_at, namespace, saga_id
LIMIT $3
