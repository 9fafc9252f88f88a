-- The answer that a command got.
SELECT fingerprint, outcome, body
FROM amends_command
WHERE command_id = :command_id
