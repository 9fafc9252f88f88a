-- Take away rows of the inbox of which nothing followed, with what their senders are told.
WITH handled AS (
    DELETE FROM inbox
    USING unnest($1::bigint[], $2::json[]) AS done (number, answer)
    WHERE inbox.number = done.number
    RETURNING inbox.number, inbox.sender, done.answer
)
INSERT INTO inbox_answer (number, sender, body)
SELECT number, sender, answer FROM handled WHERE sender IS NOT NULL
ON CONFLICT (number) DO NOTHING
