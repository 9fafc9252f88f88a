-- Which transactions may still fill a gap of the log: those that write transitions. Nothing can be said on a standby.
SELECT
    pg_is_in_recovery() AS is_standby,
    coalesce(array_agg(virtualtransaction), '{}'::text[]) AS writers
FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
    AND relation = 'transition'::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
