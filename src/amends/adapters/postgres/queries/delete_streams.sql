-- Give up streams that still end where they did, have finished, and do not have the newest transition of the log; `place`
-- counts the given ones from 1. What another session is looking at is left for the next time.
WITH finished AS (
    SELECT given.place, stream.number
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS given (namespace, saga_id, last, place)
    JOIN stream ON stream.namespace = given.namespace AND stream.saga_id = given.saga_id
    WHERE given.last = (
        SELECT position + events - 1 FROM transition
        WHERE transition.stream = stream.number
        ORDER BY position DESC
        LIMIT 1
    )
    AND NOT EXISTS (
        SELECT FROM open_instance AS open WHERE open.namespace = stream.namespace AND open.saga_id = stream.saga_id
    )
    AND stream.number <> (SELECT stream FROM transition ORDER BY sequence DESC LIMIT 1)
    FOR UPDATE OF stream SKIP LOCKED
), emptied AS (
    DELETE FROM transition USING finished WHERE transition.stream = finished.number
), removed AS (
    DELETE FROM stream USING finished WHERE stream.number = finished.number
)
SELECT place, number FROM finished
