-- Leave rows of the inbox to a person, and say why.
UPDATE inbox SET parked = given.reason
FROM unnest($1::bigint[], $2::text[]) AS given (number, reason)
WHERE inbox.number = given.number
