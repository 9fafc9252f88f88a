-- Forget up to where the log was in them.
DELETE FROM checkpoint
