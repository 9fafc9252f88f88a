-- Keep what became of a do that was answered later.
UPDATE amends_pair
SET state = :state
WHERE namespace = :namespace AND saga_id = :saga_id AND step = :step
