-- Note the fingerprints under which definitions are used now, and what they look like.
INSERT INTO definition (name, version, fingerprint, shape)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::json[])
ON CONFLICT (name, version) DO UPDATE SET fingerprint = excluded.fingerprint, shape = excluded.shape
