-- Forget the row of an instance.
DELETE FROM saga WHERE namespace = ?1 AND id = ?2
