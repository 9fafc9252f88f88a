-- A piece of the log behind a sequence: every stream's transitions in the order of their commits.
SELECT transition.sequence, stream.namespace, stream.saga_id, transition.position, transition.events,
    transition.recorded_at, CAST(transition.body AS BLOB)
FROM transition
JOIN stream ON stream.number = transition.stream
WHERE transition.sequence > ?1
ORDER BY transition.sequence
LIMIT ?2
