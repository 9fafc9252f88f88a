-- Note the fingerprints under which definitions are used now.
INSERT INTO definition (name, version, fingerprint)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[])
ON CONFLICT (name, version) DO UPDATE SET fingerprint = excluded.fingerprint
