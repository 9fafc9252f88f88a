-- What stands in this database at all; reading it finds a file that is no database.
SELECT count(*) FROM sqlite_schema
