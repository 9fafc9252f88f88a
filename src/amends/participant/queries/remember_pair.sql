-- Keep how far a do and its undo have come, and which command made it so.
INSERT INTO amends_pair (namespace, saga_id, step, state, command_id)
VALUES (:namespace, :saga_id, :step, :state, :command_id)
ON CONFLICT (namespace, saga_id, step)
DO UPDATE SET state = excluded.state, command_id = excluded.command_id
