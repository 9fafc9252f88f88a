UPDATE parked
SET state = $2, by = $3, note = $4, settled_at = $5, code = CASE $6::text WHEN '' THEN code ELSE $6 END
WHERE id = $1 AND state IN ('waiting', 'parked')
RETURNING number
