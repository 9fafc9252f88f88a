-- Several processes on one store: who is a member, who holds which shard, and what waits for a shard's holder.
--
-- A saga belongs to one of 64 shards: the first byte of the SHA-256 of NAMESPACE/SAGA_ID, modulo 64.

-- A process that runs on this store. Its token is its fencing token: it grows with each process that joins, and a
-- member that was fenced never writes again; to go on it joins anew. Times are the server's, so clocks need not agree.
CREATE SEQUENCE fencing_token;

CREATE TABLE member (
    token bigint PRIMARY KEY DEFAULT nextval('fencing_token'),
    name text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    fenced boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- Which member leases a shard; NULL: nobody. While its holder lives, only the holder gives a shard away.
CREATE TABLE shard (
    number smallint PRIMARY KEY CHECK (number BETWEEN 0 AND 63),
    token bigint
);

INSERT INTO shard (number) SELECT generate_series(0, 63);

ALTER TABLE open_instance ADD COLUMN shard smallint;
UPDATE open_instance
SET shard = get_byte(sha256(convert_to(namespace || '/' || saga_id, 'UTF8')), 0) % 64;
ALTER TABLE open_instance ALTER COLUMN shard SET NOT NULL;

DROP INDEX open_instance_wake;
CREATE INDEX open_instance_wake ON open_instance (wake_at) INCLUDE (shard) WHERE wake_at IS NOT NULL;

-- What arrived at a process that does not hold the shard, or was put here in an application's own transaction. The
-- holder deletes a row in the transaction that stores what followed from it.
CREATE TABLE inbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    saga_id text COLLATE "C" NOT NULL,
    -- 'start', 'signal', 'reply' and the other triggers; `body` holds its members.
    kind text NOT NULL,
    body json NOT NULL,
    arrived_at timestamptz NOT NULL DEFAULT now(),
    -- The member whose caller waits for an answer; NULL: nobody does.
    sender bigint,
    -- Why it cannot be taken; it is left for a person then.
    parked text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX inbox_waiting ON inbox (shard, number) WHERE parked IS NULL;

-- What became of an inbox row that somebody waits for; taken away by the one who waits, or with that member.
CREATE TABLE inbox_answer (
    number bigint PRIMARY KEY,
    sender bigint NOT NULL,
    body json NOT NULL
);
