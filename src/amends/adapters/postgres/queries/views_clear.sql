-- Forget all rows, counts, and up to where the log was in them.
TRUNCATE saga, saga_count, checkpoint
