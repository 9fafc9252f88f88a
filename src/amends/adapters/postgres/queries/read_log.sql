-- A piece of the log behind a sequence: so many transitions of all streams, fewer where they are large.
SELECT sequence, namespace, saga_id, position, events, recorded_at, body
FROM (
    SELECT *, sum(size) OVER (ORDER BY sequence) - size AS before
    FROM (
        SELECT sequence, stream, position, events, recorded_at, body, octet_length(body::text) AS size
        FROM transition
        WHERE sequence > $1
        ORDER BY sequence
        LIMIT $2
    ) AS found
) AS measured
JOIN stream ON stream.number = measured.stream
WHERE before < $3
ORDER BY sequence
