-- A page of rows, the oldest first, behind a place.
SELECT namespace, id, saga, version, status, business_status, paused, position, sequence,
    started_at, updated_at, ended_at, stuck, cause
FROM saga
WHERE ($1::text = '' OR namespace = $1)
    AND ($2::text = '' OR saga = $2)
    AND ($3::integer IS NULL OR version = $3)
    AND ($4::text[] IS NULL OR status = ANY($4))
    AND ($5::text = '' OR business_status = $5)
    AND ($6::boolean IS NULL OR paused = $6)
    AND started_at >= coalesce($7::timestamptz, '-infinity')
    AND started_at < coalesce($8::timestamptz, 'infinity')
    AND updated_at >= coalesce($9::timestamptz, '-infinity')
    AND updated_at < coalesce($10::timestamptz, 'infinity')
    AND starts_with(id, $11::text)
    AND (started_at, namespace, id) > (coalesce($12::timestamptz, '-infinity'), $13::text, $14::text)
ORDER BY started_at, namespace, id
LIMIT $15
