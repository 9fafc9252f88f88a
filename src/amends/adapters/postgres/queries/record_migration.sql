-- Note, in the migration's own transaction, that it was applied.
INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)
