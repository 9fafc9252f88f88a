-- Stop being a member, and free what it leased.
WITH gone AS (
    DELETE FROM member WHERE token = $1
)
UPDATE shard SET token = NULL WHERE token = $1
