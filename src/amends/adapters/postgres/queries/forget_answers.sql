-- Answers that their senders have.
DELETE FROM inbox_answer WHERE number = ANY($1::bigint[])
