-- The migrations that built these tables, in order.
SELECT number, name, checksum FROM migration ORDER BY number
