-- Take the right to relay to a topic, if nobody has it; it ends with the session.
SELECT pg_try_advisory_lock($1::bigint)
