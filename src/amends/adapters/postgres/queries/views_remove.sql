-- Remove the rows of instances and count them no more.
WITH removed AS (
    DELETE FROM saga
    USING unnest($1::text[], $2::text[]) AS given (namespace, id)
    WHERE saga.namespace = given.namespace AND saga.id = given.id
    RETURNING saga.namespace, saga.saga, saga.status
)
UPDATE saga_count SET number = saga_count.number - gone.number
FROM (SELECT namespace, saga, status, count(*) AS number FROM removed GROUP BY namespace, saga, status) AS gone
WHERE saga_count.namespace = gone.namespace AND saga_count.saga = gone.saga AND saga_count.status = gone.status
