-- Try to have a store to oneself, for migrating it: true when nobody runs on it.
SELECT pg_try_advisory_lock($1::bigint::bit(32)::integer, $2::bigint::bit(32)::integer)
