-- Store a transition of a stream; another one at its position, or no such stream, takes the transaction back.
INSERT OR ROLLBACK INTO transition (stream, position, events, recorded_at, body)
VALUES (?1, ?2, ?3, ?4, ?5)
