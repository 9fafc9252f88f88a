-- Make a member's lease last from now on; no row when it was fenced.
UPDATE member SET expires_at = now() + $2 WHERE token = $1 AND NOT fenced RETURNING token
