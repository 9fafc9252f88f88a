-- Correct the index row of an open instance, if the member may still write; one that has ended has none. Answers 1, or 0
-- when the member was fenced.
WITH guard AS (
    SELECT token FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE
), corrected AS (
    UPDATE open_instance SET wake_at = $4, outstanding = $5
    WHERE namespace = $2 AND saga_id = $3 AND EXISTS (SELECT FROM guard)
)
SELECT count(*) FROM guard
