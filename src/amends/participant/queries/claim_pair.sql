-- Take the row of a do and its undo, or make it; who comes second waits here until the first transaction ends.
INSERT INTO amends_pair (namespace, saga_id, step, state)
VALUES (:namespace, :saga_id, :step, 'unseen')
ON CONFLICT (namespace, saga_id, step) DO UPDATE SET state = amends_pair.state
RETURNING state, command_id
