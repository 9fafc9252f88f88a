-- Who else has a lock.
SELECT
    lock.pid AS backend,
    activity.application_name AS application,
    coalesce(host(activity.client_addr), 'this host') AS host,
    activity.backend_start AS since
FROM pg_locks AS lock
JOIN pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
    AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND lock.classid::bigint = $1 AND lock.objid::bigint = $2
    AND lock.pid <> pg_backend_pid()
ORDER BY activity.backend_start
LIMIT 1
