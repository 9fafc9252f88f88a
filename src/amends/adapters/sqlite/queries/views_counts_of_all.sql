-- How many instances of all namespaces there are, by saga and status.
SELECT saga, status, count(*)
FROM saga
GROUP BY saga, status
ORDER BY saga, status
