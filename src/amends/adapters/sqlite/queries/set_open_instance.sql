-- Insert or replace the index row of an open instance.
INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding)
VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (namespace, saga_id) DO UPDATE SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
