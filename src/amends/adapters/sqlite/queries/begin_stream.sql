-- Begin a stream under a number of its own; one that is there already takes the transaction back.
INSERT OR ROLLBACK INTO stream (number, namespace, saga_id)
VALUES (?1, ?2, ?3)
