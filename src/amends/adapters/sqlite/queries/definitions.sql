-- What was noted of definitions.
SELECT name, version, fingerprint, shape FROM definition ORDER BY name, version
