-- Index rows of some shards with commands that may be unanswered, in key order.
SELECT namespace, saga_id, wake_at, outstanding
FROM open_instance
WHERE shard = ANY($1::smallint[]) AND outstanding
ORDER BY namespace, saga_id
LIMIT $2
