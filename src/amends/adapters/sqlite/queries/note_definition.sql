-- Note the fingerprint under which a definition is used now, and what it looks like.
INSERT INTO definition (name, version, fingerprint, shape)
VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (name, version) DO UPDATE SET fingerprint = excluded.fingerprint, shape = excluded.shape
