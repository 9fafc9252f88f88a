-- Take the right to write to the read model in a schema, if nobody has it; it ends with the session.
SELECT pg_try_advisory_lock($1::integer, $2::bigint::bit(32)::integer)
