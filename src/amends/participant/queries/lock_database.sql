-- Changes nothing: it is written so that SQLite gives this transaction the one right to write.
UPDATE amends_pair SET state = state
WHERE namespace = :namespace AND saga_id = :saga_id AND step = :step
