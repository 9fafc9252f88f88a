-- The earliest time at which an instance must be looked at.
SELECT wake_at FROM open_instance WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1
