-- Note up to where a topic has the log; it never goes back.
INSERT INTO relay (topic, sequence) VALUES (?1, ?2)
ON CONFLICT (topic) DO UPDATE SET sequence = max(sequence, excluded.sequence)
