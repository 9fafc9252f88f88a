-- Store a transition; another one at its position leaves everything as it is.
INSERT INTO transition (stream, position, events, recorded_at, body)
VALUES ((SELECT number FROM stream WHERE namespace = ?1 AND saga_id = ?2), ?3, ?4, ?5, ?6)
ON CONFLICT (stream, position) DO NOTHING
