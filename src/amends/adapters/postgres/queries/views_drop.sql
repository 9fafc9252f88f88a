-- Remove tables that another version of these files built; nothing was stored in them alone.
DROP TABLE IF EXISTS saga, saga_count, checkpoint, secret, migration
