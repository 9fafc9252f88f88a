-- Definitions: the fingerprint under which each was last used here. It tells at opening whether one was changed
-- without a new version, without looking at every open instance.
CREATE TABLE definition (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;

-- What open instances were begun on so far. Where they differ among themselves none is noted as right, so that each of
-- them is looked at.
INSERT INTO definition (name, version, fingerprint)
SELECT name, version, CASE WHEN min(fingerprint) = max(fingerprint) THEN min(fingerprint) ELSE '' END
FROM (
    SELECT
        json_extract(transition.body, '$[0].saga') AS name,
        json_extract(transition.body, '$[0].version') AS version,
        json_extract(transition.body, '$[0].fingerprint') AS fingerprint
    FROM open_instance
    JOIN stream ON stream.namespace = open_instance.namespace AND stream.saga_id = open_instance.saga_id
    JOIN transition ON transition.stream = stream.number AND transition.position = 1
    WHERE json_extract(transition.body, '$[0].type') = 'SagaStarted'
)
WHERE name IS NOT NULL AND version IS NOT NULL AND fingerprint IS NOT NULL
GROUP BY name, version;
