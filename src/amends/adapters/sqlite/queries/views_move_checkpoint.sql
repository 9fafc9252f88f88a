-- Note up to where the log is in the rows.
INSERT OR REPLACE INTO checkpoint (number, sequence, mark) VALUES (0, ?1, ?2)
