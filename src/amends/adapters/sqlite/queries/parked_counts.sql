SELECT state, count(*) FROM parked GROUP BY state
