-- What stands at the given places; `place` counts the given ones from 1.
SELECT given.place, transition.events, transition.recorded_at, transition.body
FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS given (stream, position, place)
JOIN transition ON transition.stream = given.stream AND transition.position = given.position
