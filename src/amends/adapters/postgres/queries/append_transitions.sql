-- Store a batch that begins no stream and leaves all index rows alone: most of them.
INSERT INTO transition (stream, position, events, recorded_at, body)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::timestamptz[], $5::json[])
