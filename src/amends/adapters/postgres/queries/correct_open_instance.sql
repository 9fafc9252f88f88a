-- Correct the index row of an open instance; one that has ended has none.
UPDATE open_instance SET wake_at = $3, outstanding = $4 WHERE namespace = $1 AND saga_id = $2
