-- A new fencing token; each is greater than all before it.
SELECT nextval('fencing_token')
