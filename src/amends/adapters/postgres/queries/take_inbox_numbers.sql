-- Numbers for rows of the inbox.
SELECT nextval(pg_get_serial_sequence('inbox', 'number')) FROM generate_series(1, $1)
