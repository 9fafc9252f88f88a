-- Take a lock that is a member's alone, waiting as long as lock_timeout says; it ends with the session.
SELECT pg_advisory_lock($1::bigint::bit(32)::integer, $2::bigint::bit(32)::integer)
