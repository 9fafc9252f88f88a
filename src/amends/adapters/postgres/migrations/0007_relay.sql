-- Up to where each topic has the log: everything up to this sequence has left. Rewritten once a second at most, by one.
CREATE TABLE relay (
    topic text COLLATE "C" PRIMARY KEY,
    sequence bigint NOT NULL
) WITH (fillfactor = 50);
