-- Keep a secret, if there is none.
INSERT INTO secret (number, value) VALUES (0, $1) ON CONFLICT (number) DO NOTHING
