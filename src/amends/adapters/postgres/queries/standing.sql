-- How a member stands: who lives, what it leases, what nobody leases, when the next lease of another is over.
SELECT
    (SELECT count(*) FROM member WHERE NOT fenced AND (expires_at > now() OR token = $1)) AS members,
    coalesce((SELECT array_agg(number::integer) FROM shard WHERE token = $1), '{}'::integer[]) AS held,
    (SELECT count(*) FROM shard WHERE token IS NULL) AS free,
    (SELECT min(expires_at) - now() FROM member WHERE NOT fenced AND token <> $1) AS look_again
