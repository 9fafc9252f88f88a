-- Up to where the log is in the rows.
SELECT sequence, mark FROM checkpoint
