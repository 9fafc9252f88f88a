-- The first of a thousand numbers for streams.
SELECT nextval('stream_number')
