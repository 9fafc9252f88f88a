-- Leave rows of the inbox to a person, and say why. No join: see `append_ended.sql`.
UPDATE inbox SET parked = ($2::text[])[array_position($1::bigint[], number)]
WHERE number = ANY ($1::bigint[])
