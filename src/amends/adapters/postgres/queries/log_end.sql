-- The sequence of the last committed transition; 0 when there is none.
SELECT coalesce(max(sequence), 0) FROM transition
