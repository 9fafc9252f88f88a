-- The earliest time at which an instance of some shards must be looked at.
SELECT wake_at FROM open_instance
WHERE wake_at IS NOT NULL AND shard = ANY($1::smallint[])
ORDER BY wake_at
LIMIT 1
