-- The largest number of a stream; 0 when there is none.
SELECT coalesce(max(number), 0) FROM stream
