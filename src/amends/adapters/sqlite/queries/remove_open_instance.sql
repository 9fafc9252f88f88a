-- The instance has ended.
DELETE FROM open_instance WHERE namespace = ?1 AND saga_id = ?2
