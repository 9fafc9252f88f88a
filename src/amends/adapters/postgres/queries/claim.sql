-- Lease so many shards that nobody leases, if the member was not fenced; `indexed`: of which rows may be missing.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), free AS (
    SELECT number FROM shard WHERE token IS NULL ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE shard SET token = $1 FROM free
WHERE shard.number = free.number AND EXISTS (SELECT FROM guard)
RETURNING shard.number, shard.indexed
