-- Give ten sagas their numbers, once.
INSERT INTO stream (namespace, saga_id)
VALUES
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?),
    (?, ?)
ON CONFLICT (namespace, saga_id) DO NOTHING
