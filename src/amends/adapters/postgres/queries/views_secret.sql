-- What all processes that share these rows know.
SELECT value FROM secret WHERE number = 0
