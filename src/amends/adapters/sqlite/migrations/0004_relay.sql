-- Up to where each topic has the log: everything up to this sequence has left.
CREATE TABLE relay (
    topic TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
