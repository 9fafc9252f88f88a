-- Store ten transitions; as with one, another at one of their positions fails the statement.
INSERT INTO transition (stream, position, events, recorded_at, body)
VALUES
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?),
    ((SELECT number FROM stream WHERE namespace = ? AND saga_id = ?), ?, ?, ?, ?)
