-- Store a batch that begins no stream and leaves all other rows alone, if the member may still write: most of them. Says
-- how many transitions it stored; none, when the member was fenced. Arrays come as one text each, which costs the client
-- a third of what a list does. They are taken apart side by side, in a list of columns: as a table of their own they
-- would be written down and read again.
INSERT INTO transition (stream, position, events, recorded_at, body)
SELECT stream, position, events, timestamptz '2000-01-01 00:00:00+00' + since * interval '1 microsecond', body::json
FROM (
    SELECT unnest($2::text::bigint[]) AS stream, unnest($3::text::integer[]) AS position,
        unnest($4::text::integer[]) AS events, unnest($5::text::bigint[]) AS since,
        unnest(string_to_array(convert_from($6::bytea, 'UTF8'), E'\x01')) AS body
    FROM (SELECT FROM member WHERE token = $1 AND NOT fenced FOR KEY SHARE) AS guard
) AS given
