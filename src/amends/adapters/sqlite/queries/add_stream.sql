-- Give a saga its number, once.
INSERT INTO stream (namespace, saga_id)
VALUES (?1, ?2)
ON CONFLICT (namespace, saga_id) DO NOTHING
