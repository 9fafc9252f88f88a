-- Give up the hold of the store in a schema.
SELECT pg_advisory_unlock($1::integer, $2::bigint::bit(32)::integer)
