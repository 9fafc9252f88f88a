-- The migrations that built this database, in order.
SELECT number, name, checksum FROM migration ORDER BY number
