-- Give up a stream.
DELETE FROM stream WHERE number = ?1
