-- Insert or replace the index rows of ten open instances.
INSERT INTO open_instance (namespace, saga_id, wake_at, outstanding)
VALUES
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?),
    (?, ?, ?, ?)
ON CONFLICT (namespace, saga_id) DO UPDATE SET wake_at = excluded.wake_at, outstanding = excluded.outstanding
