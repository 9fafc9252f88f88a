-- The numbers of those of the given streams that exist. The limit keeps the server from a plain join: see
-- `append_ended.sql`.
SELECT given.namespace, given.saga_id, found.number
FROM unnest($1::text[], $2::text[]) AS given (namespace, saga_id)
CROSS JOIN LATERAL (
    SELECT number FROM stream
    WHERE stream.namespace = given.namespace AND stream.saga_id = given.saga_id
    LIMIT 1
) AS found
