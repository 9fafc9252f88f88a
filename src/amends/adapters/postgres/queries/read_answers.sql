-- What became of rows of the inbox.
SELECT number, body FROM inbox_answer WHERE number = ANY($1::bigint[])
