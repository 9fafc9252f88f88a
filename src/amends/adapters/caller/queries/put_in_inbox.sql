-- Leave a start or a signal in a store's inbox, and tell whoever holds its shard. The server delivers the notification
-- when the transaction commits, and forgets it when it does not; until the commit is on the disk it makes others that
-- notify wait, so that may be left out. Nothing is read, so the right to insert is enough.
WITH place AS (
    SELECT mod(get_byte(sha256(convert_to(CAST(:namespace AS text) || '/' || CAST(:saga_id AS text), 'UTF8')), 0), 64)
        AS shard
), put AS (
    INSERT INTO amends.inbox (shard, namespace, saga_id, kind, body)
    SELECT
        place.shard,
        CAST(:namespace AS text),
        CAST(:saga_id AS text),
        CAST(:kind AS text),
        CAST(CAST(:body AS text) AS json)
    FROM place
)
SELECT pg_notify(CAST(:channel AS text), 'inbox ' || CAST(place.shard AS text))
FROM place
WHERE CAST(:at_once AS boolean)
