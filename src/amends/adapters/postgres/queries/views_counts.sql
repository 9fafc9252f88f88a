-- How many instances there are, by saga and status: of one namespace, or of all.
SELECT saga, status, sum(number)::bigint
FROM saga_count
WHERE ($1::text = '' OR namespace = $1) AND number > 0
GROUP BY saga, status
ORDER BY saga, status
