-- Become a member: a token that was never used, and a lease. Those that left long ago are forgotten, with what was to
-- be told to them. Answers the end of the log, behind which comes all that the member stores.
WITH forgotten AS (
    DELETE FROM member WHERE fenced AND expires_at < now() - interval '1 hour'
), untold AS (
    DELETE FROM inbox_answer
    WHERE NOT EXISTS (
        SELECT FROM member
        WHERE member.token = inbox_answer.sender AND (NOT fenced OR expires_at > now() - interval '1 hour')
    )
)
INSERT INTO member (token, name, expires_at, indexed)
VALUES ($1, $2, now() + $3, coalesce((SELECT sequence FROM transition ORDER BY sequence DESC LIMIT 1), 0))
RETURNING indexed
