-- The schema that this session looks in, with all that is in it. An identifier cannot be bound, so it is quoted there.
DO $$
BEGIN
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', current_setting('search_path'));
END
$$
