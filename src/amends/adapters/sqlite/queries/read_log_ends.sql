-- A piece of the log behind a sequence, without bodies: where each transition stands, and whether its stream has finished
-- with it.
SELECT looked.sequence, looked.recorded_at, stream.namespace, stream.saga_id, looked.position + looked.events - 1,
    NOT EXISTS (
        SELECT 1 FROM transition AS later
        WHERE later.stream = looked.stream AND later.position > looked.position
    ) AND NOT EXISTS (
        SELECT 1 FROM open_instance
        WHERE open_instance.namespace = stream.namespace AND open_instance.saga_id = stream.saga_id
    )
FROM (
    SELECT sequence, stream, position, events, recorded_at
    FROM transition
    WHERE sequence > ?1
    ORDER BY sequence
    LIMIT ?2
) AS looked
JOIN stream ON stream.number = looked.stream
ORDER BY looked.sequence
