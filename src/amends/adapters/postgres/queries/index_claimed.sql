-- Give their rows to instances of this member's shards that a member which is gone began and did not come to write a row
-- for; then nothing is missing in these shards.
WITH mine AS (
    SELECT number FROM shard WHERE token = $1 AND indexed IS NOT NULL
), kept AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding, shard)
    SELECT namespace, saga_id, wake_at, outstanding, shard FROM late_instance
    WHERE shard IN (SELECT number FROM mine)
    ON CONFLICT (namespace, saga_id) DO NOTHING
)
UPDATE shard SET indexed = NULL WHERE token = $1 AND indexed IS NOT NULL
