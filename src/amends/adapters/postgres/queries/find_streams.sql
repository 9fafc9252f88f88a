-- The numbers of those of the given streams that exist.
SELECT stream.namespace, stream.saga_id, stream.number
FROM unnest($1::text[], $2::text[]) AS given (namespace, saga_id)
JOIN stream ON stream.namespace = given.namespace AND stream.saga_id = given.saga_id
