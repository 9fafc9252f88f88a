-- Put a transition back to its place in the log.
INSERT INTO transition (sequence, stream, position, events, recorded_at, body)
VALUES (?1, (SELECT number FROM stream WHERE namespace = ?2 AND saga_id = ?3), ?4, ?5, ?6, ?7)
