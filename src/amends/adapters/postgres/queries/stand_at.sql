-- What stands at the given places; `place` counts the given ones from 1. The limit keeps the server from a plain join: see
-- `append_ended.sql`.
SELECT given.place, found.events, found.recorded_at, found.body
FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS given (stream, position, place)
CROSS JOIN LATERAL (
    SELECT events, recorded_at, body FROM transition
    WHERE transition.stream = given.stream AND transition.position = given.position
    LIMIT 1
) AS found
