SELECT state, count(*) AS records FROM parked GROUP BY state
