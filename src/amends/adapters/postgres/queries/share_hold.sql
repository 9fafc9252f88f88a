-- Share the hold of the store in a schema, waiting as long as lock_timeout says; it ends with the session.
SELECT pg_advisory_lock_shared($1::bigint::bit(32)::integer, $2::bigint::bit(32)::integer)
