-- Give up a lock that is this session's alone.
SELECT pg_advisory_unlock($1::bigint::bit(32)::integer, $2::bigint::bit(32)::integer)
