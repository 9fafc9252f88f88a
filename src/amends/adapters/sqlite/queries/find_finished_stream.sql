-- The number of a stream that ends at a position, has finished, and does not have the newest transition of the log.
SELECT stream.number
FROM stream
WHERE namespace = ?1 AND saga_id = ?2
    AND ?3 = (
        SELECT position + events - 1 FROM transition
        WHERE transition.stream = stream.number
        ORDER BY position DESC
        LIMIT 1
    )
    AND NOT EXISTS (SELECT 1 FROM open_instance WHERE namespace = ?1 AND saga_id = ?2)
    AND stream.number <> (SELECT stream FROM transition ORDER BY sequence DESC LIMIT 1)
