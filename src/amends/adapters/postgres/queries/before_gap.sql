-- The last sequence before the first gap behind a place up to which all gaps are dead; the last of all where there is no
-- gap. Read as far as that gap.
SELECT coalesce(
    (
        SELECT before
        FROM (
            SELECT sequence, lag(sequence, 1, $1::bigint) OVER (ORDER BY sequence) AS before
            FROM transition
            WHERE sequence > $1::bigint
        ) AS found
        WHERE sequence > before + 1
        ORDER BY sequence
        LIMIT 1
    ),
    (SELECT max(sequence) FROM transition WHERE sequence > $1::bigint),
    $1::bigint
)
