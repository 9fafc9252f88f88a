-- Insert or replace the row of an instance.
INSERT OR REPLACE INTO saga (
    namespace, id, saga, version, status, business_status, paused, position, sequence,
    started_at, updated_at, ended_at, stuck, cause
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
