-- What was noted of definitions.
SELECT name, version, fingerprint FROM definition ORDER BY name, version
