-- Two processes that make the tables at the same time wait for each other.
SELECT pg_advisory_xact_lock(hashtext('amends_participant'))
