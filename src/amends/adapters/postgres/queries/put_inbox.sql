-- Put rows into the inbox, for the holders of their shards. Once: a number that is there, or was answered, stays. No join:
-- see `append_ended.sql`.
INSERT INTO inbox (number, shard, namespace, saga_id, kind, body, sender)
OVERRIDING SYSTEM VALUE
SELECT given.number, get_byte(sha256(convert_to(given.namespace || '/' || given.saga_id, 'UTF8')), 0) % 64,
    given.namespace, given.saga_id, given.kind, given.body, given.sender
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::json[], $6::bigint[])
    AS given (number, namespace, saga_id, kind, body, sender)
WHERE (SELECT number FROM inbox_answer WHERE inbox_answer.number = given.number) IS NULL
ON CONFLICT (number) DO NOTHING
