-- Give up what a stream holds.
DELETE FROM transition WHERE stream = ?1
