-- Insert or replace rows, at most one per instance; count them; move the checkpoint. One statement, one transaction.
WITH given AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::boolean[], $8::bigint[],
        $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[]
    ) AS given (
        namespace, id, saga, version, status, business_status, paused, position,
        sequence, started_at, updated_at, ended_at, stuck, cause
    )
), replaced AS (
    SELECT saga.namespace, saga.saga, saga.status
    FROM given
    JOIN saga ON saga.namespace = given.namespace AND saga.id = given.id
), counted AS (
    INSERT INTO saga_count (namespace, saga, status, number)
    SELECT namespace, saga, status, sum(change)
    FROM (
        SELECT namespace, saga, status, 1 AS change FROM given
        UNION ALL
        SELECT namespace, saga, status, -1 FROM replaced
    ) AS changes
    GROUP BY namespace, saga, status
    HAVING sum(change) > 0
    ON CONFLICT (namespace, saga, status) DO UPDATE SET number = saga_count.number + excluded.number
), discounted AS (
    UPDATE saga_count SET number = saga_count.number - gone.number
    FROM (
        SELECT namespace, saga, status, -sum(change) AS number
        FROM (
            SELECT namespace, saga, status, 1 AS change FROM given
            UNION ALL
            SELECT namespace, saga, status, -1 FROM replaced
        ) AS changes
        GROUP BY namespace, saga, status
        HAVING sum(change) < 0
    ) AS gone
    WHERE saga_count.namespace = gone.namespace AND saga_count.saga = gone.saga AND saga_count.status = gone.status
), placed AS (
    INSERT INTO checkpoint (number, sequence, mark) VALUES (0, $15, $16)
    ON CONFLICT (number) DO UPDATE SET sequence = excluded.sequence, mark = excluded.mark
)
INSERT INTO saga (
    namespace, id, saga, version, status, business_status, paused, position,
    sequence, started_at, updated_at, ended_at, stuck, cause
)
SELECT * FROM given
ON CONFLICT (namespace, id) DO UPDATE
SET saga = excluded.saga,
    version = excluded.version,
    status = excluded.status,
    business_status = excluded.business_status,
    paused = excluded.paused,
    position = excluded.position,
    sequence = excluded.sequence,
    started_at = excluded.started_at,
    updated_at = excluded.updated_at,
    ended_at = excluded.ended_at,
    stuck = excluded.stuck,
    cause = excluded.cause
