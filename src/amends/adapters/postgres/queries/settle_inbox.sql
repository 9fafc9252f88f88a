-- Take away rows of the inbox of which nothing followed, with what their senders are told. No join: see
-- `append_ended.sql`.
WITH handled AS (
    DELETE FROM inbox WHERE number = ANY ($1::bigint[])
    RETURNING number, sender, ($2::json[])[array_position($1::bigint[], number)] AS answer
)
INSERT INTO inbox_answer (number, sender, body)
SELECT number, sender, answer FROM handled WHERE sender IS NOT NULL
ON CONFLICT (number) DO NOTHING
