-- What must be known of a new session before it is relied on.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('fsync') = 'on' AS is_durable,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    pg_backend_pid() AS backend,
    (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS since,
    (SELECT oid::bigint FROM pg_namespace WHERE nspname = $1) AS schema,
    to_regclass(quote_ident($1) || '.migration') IS NOT NULL AS is_built
