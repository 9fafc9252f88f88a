-- Forget all rows.
DELETE FROM saga
