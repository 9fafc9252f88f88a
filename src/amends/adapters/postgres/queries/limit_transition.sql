\set stream random(1, 9000000000000000000)
INSERT INTO line (stream, position, recorded_at, body) VALUES (:stream, 1, now(), :body), (:stream, 2, now(), :body);
