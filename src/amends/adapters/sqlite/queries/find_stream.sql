-- The number of a stream.
SELECT number FROM stream WHERE namespace = ?1 AND saga_id = ?2
