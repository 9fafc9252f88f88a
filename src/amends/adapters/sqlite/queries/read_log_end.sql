-- The newest transitions: a file that was cut off lacks them.
SELECT sum(length(body)) FROM (SELECT body FROM transition ORDER BY sequence DESC LIMIT 16)
