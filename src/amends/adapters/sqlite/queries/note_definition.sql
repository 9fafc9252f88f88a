-- Note the fingerprint under which a definition is used now.
INSERT INTO definition (name, version, fingerprint)
VALUES (?1, ?2, ?3)
ON CONFLICT (name, version) DO UPDATE SET fingerprint = excluded.fingerprint
