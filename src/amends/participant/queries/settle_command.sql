-- Give a command that was to be answered later its answer; none that was answered is changed.
UPDATE amends_command
SET outcome = :outcome, body = :body
WHERE command_id = :command_id AND outcome = 'later'
