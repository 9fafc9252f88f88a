-- Become a member: a token that was never used, and a lease. Those that left long ago are forgotten, with what was to
-- be told to them.
WITH forgotten AS (
    DELETE FROM member WHERE fenced AND expires_at < now() - interval '1 hour'
), untold AS (
    DELETE FROM inbox_answer
    WHERE NOT EXISTS (
        SELECT FROM member
        WHERE member.token = inbox_answer.sender AND (NOT fenced OR expires_at > now() - interval '1 hour')
    )
)
INSERT INTO member (token, name, expires_at) VALUES ($1, $2, now() + $3)
