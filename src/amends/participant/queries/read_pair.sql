-- What is known of a do and its undo.
SELECT state, command_id
FROM amends_pair
WHERE namespace = :namespace AND saga_id = :saga_id AND step = :step
