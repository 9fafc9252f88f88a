-- What a definition looks like is kept once, not in the first event of every instance. NULL: noted before that was so.
ALTER TABLE definition ADD COLUMN shape json;
