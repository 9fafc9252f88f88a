-- A page of rows, the oldest first, behind a place.
SELECT namespace, id, saga, version, status, business_status, paused, position, sequence,
    started_at, updated_at, ended_at, stuck, cause
FROM saga
WHERE (?1 = '' OR namespace = ?1)
    AND (?2 = '' OR saga = ?2)
    AND (?3 IS NULL OR version = ?3)
    AND (?4 IS NULL OR status IN (SELECT value FROM json_each(?4)))
    AND (?5 = '' OR business_status = ?5)
    AND (?6 IS NULL OR paused = ?6)
    AND started_at >= ?7 AND started_at < ?8
    AND updated_at >= ?9 AND updated_at < ?10
    AND substr(id, 1, length(?11)) = ?11
    AND (started_at, namespace, id) > (?12, ?13, ?14)
ORDER BY started_at, namespace, id
LIMIT ?15
