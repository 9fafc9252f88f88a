-- A piece of a stream behind a position, in order: so many transitions, fewer where they are large.
SELECT position, events, recorded_at, body
FROM (
    SELECT *, sum(size) OVER (ORDER BY position) - size AS before
    FROM (
        SELECT position, events, recorded_at, body, octet_length(body::text) AS size
        FROM transition
        WHERE stream = (SELECT number FROM stream WHERE namespace = $1 AND saga_id = $2) AND position > $3
        ORDER BY position
        LIMIT $4
    ) AS found
) AS measured
WHERE before < $5
ORDER BY position
