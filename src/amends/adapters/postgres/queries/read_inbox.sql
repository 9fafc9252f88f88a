-- What waits in the inbox for some shards, the oldest first, but for what is in hand.
SELECT number, namespace, saga_id, kind, body, sender IS NOT NULL AS is_awaited
FROM inbox
WHERE shard = ANY($1::smallint[]) AND parked IS NULL AND NOT number = ANY($2::bigint[])
ORDER BY number
LIMIT $3
