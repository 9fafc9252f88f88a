UPDATE parked
SET state = :state, by = :by, note = :note, settled_at = :at, code = CASE :code WHEN '' THEN code ELSE :code END
WHERE id = :id AND state IN ('waiting', 'parked')
