-- Keep a command with its answer.
INSERT INTO amends_command (command_id, fingerprint, outcome, body)
VALUES (:command_id, :fingerprint, :outcome, :body)
