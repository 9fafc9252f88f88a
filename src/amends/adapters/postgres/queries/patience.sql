-- How long this session waits for a lock, in milliseconds; 0: for ever.
SELECT set_config('lock_timeout', $1, false)
