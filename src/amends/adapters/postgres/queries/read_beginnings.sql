-- The first transitions of streams; `place` counts the given ones from 1.
SELECT given.place, transition.position, transition.events, transition.recorded_at, transition.body
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS given (namespace, saga_id, place)
JOIN stream ON stream.namespace = given.namespace AND stream.saga_id = given.saga_id
JOIN transition ON transition.stream = stream.number AND transition.position = 1
ORDER BY given.place
