-- How many instances of one namespace there are, by saga and status: read in the order of an index, never sorted.
SELECT saga, status, count(*)
FROM saga
WHERE namespace = ?1
GROUP BY saga, status
ORDER BY saga, status
