-- Fence other members whose lease is over, or nearly so ($3) while their session is gone, and free what they leased.
-- The lock waits for nobody: whose append is in progress is fenced by a later look. It does conflict with the lock of
-- appends, so none begins in between. Shards keep the sequence up to which everything has its row. $2: the number of
-- the schema in the catalogue.
WITH gone AS (
    SELECT token, indexed FROM member
    WHERE token <> $1 AND NOT fenced
        AND (
            expires_at < now()
            OR expires_at < now() + $3 AND NOT EXISTS (
                SELECT FROM pg_locks AS lock
                WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
                    AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND lock.classid::bigint = $2 AND lock.objid::bigint = member.token & 4294967295
            )
        )
    FOR UPDATE SKIP LOCKED
), fenced AS (
    UPDATE member SET fenced = true FROM gone WHERE member.token = gone.token
), freed AS (
    UPDATE shard SET token = NULL, indexed = least(indexed, (SELECT min(indexed) FROM gone))
    WHERE token IN (SELECT token FROM gone)
        OR token IS NOT NULL AND NOT EXISTS (
            SELECT FROM member WHERE member.token = shard.token AND NOT member.fenced
        )
)
SELECT count(*) FROM gone
