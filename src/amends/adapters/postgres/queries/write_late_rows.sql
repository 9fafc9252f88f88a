-- Write the index rows of instances that began a while ago and are still open, if the member may still write; then move on
-- the sequence up to which everything has its row: to $2, to the end of the log when that is NULL. Answers the end of the
-- log, which has everything in it that the member stored before; no row, when it was fenced. The member's row is changed
-- last: while a row of the index is waited for, the lease can be renewed.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), seen AS (
    SELECT coalesce((SELECT sequence FROM transition ORDER BY sequence DESC LIMIT 1), 0) AS log_end
), kept AS (
    INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding, shard)
    SELECT namespace, saga_id,
        timestamptz '2000-01-01 00:00:00+00'
            + since / 1000000 * interval '1 second' + since % 1000000 * interval '1 microsecond',
        outstanding, shard
    FROM (
        SELECT unnest(string_to_array($3::text, E'\x01')) AS namespace,
            unnest(string_to_array($4::text, E'\x01')) AS saga_id,
            unnest($5::text::bigint[]) AS since, unnest($6::text::boolean[]) AS outstanding,
            unnest($7::text::smallint[]) AS shard
        FROM guard
    ) AS given
    ON CONFLICT (namespace, saga_id) DO UPDATE
    SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
    RETURNING shard
)
UPDATE member SET indexed = greatest(indexed, coalesce($2, (SELECT log_end FROM seen)))
WHERE token = (SELECT token FROM guard) AND (SELECT count(*) FROM kept) >= 0
RETURNING (SELECT log_end FROM seen) AS log_end
