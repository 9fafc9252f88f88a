-- Wake those who listen.
SELECT pg_notify($1, word) FROM unnest($2::text[]) AS given (word)
