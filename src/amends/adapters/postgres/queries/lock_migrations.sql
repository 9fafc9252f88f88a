-- One migrates at a time, in this database; held until the transaction ends.
SELECT pg_advisory_xact_lock($1, 0)
