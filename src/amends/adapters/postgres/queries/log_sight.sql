-- Where the log ends, and what tells of that moment whether gaps below may still be filled: as in `read_log.sql`.
SELECT
    (SELECT coalesce(max(sequence), 0) FROM transition) AS last,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint + age(pg_snapshot_xmin(pg_current_snapshot())::xid) AS next
