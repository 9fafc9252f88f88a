-- The schema that this session looks in, when it is not there. An identifier cannot be bound, so it is quoted there.
DO $$
BEGIN
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', current_setting('search_path'));
END
$$
