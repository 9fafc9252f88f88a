-- Lease these shards no more.
UPDATE shard SET token = NULL WHERE token = $1 AND number = ANY($2::smallint[])
