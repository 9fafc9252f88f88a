-- What the barrier remembers: each command with its answer, and how far each do and undo have come together.
CREATE TABLE IF NOT EXISTS amends_command (
    command_id  text PRIMARY KEY,
    fingerprint text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('succeeded', 'refused', 'later')),
    body        bytea NOT NULL
);

-- Its primary key is what two transactions of one step meet at; a claimed row is locked until the transaction ends.
CREATE TABLE IF NOT EXISTS amends_pair (
    namespace   text NOT NULL,
    saga_id     text NOT NULL,
    step        text NOT NULL,
    state       text NOT NULL CHECK (state IN ('unseen', 'refused', 'done', 'undone')),
    command_id  text REFERENCES amends_command (command_id),
    PRIMARY KEY (namespace, saga_id, step)
);
