-- What a definition looks like is kept once, not in the first event of every instance. Empty: noted before that was so.
ALTER TABLE definition ADD COLUMN shape TEXT NOT NULL DEFAULT '';
