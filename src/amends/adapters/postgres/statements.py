"""The SQL of this adapter: one operation, one file in `queries/`, read once when this module is imported.

Rules: values reach PostgreSQL as bound parameters only. It does not: build SQL, or run it.
"""

from importlib.resources import files
from typing import Final


def _query(name: str) -> str:
    return (files("amends.adapters.postgres") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


APPEND: Final = _query("append")
APPEND_TRANSITIONS: Final = _query("append_transitions")
TAKE_NUMBERS: Final = _query("take_numbers")
FIND_STREAMS: Final = _query("find_streams")
STAND_AT: Final = _query("stand_at")
CORRECT_OPEN_INSTANCE: Final = _query("correct_open_instance")
READ_STREAM: Final = _query("read_stream")
READ_LOG: Final = _query("read_log")
LOG_WRITERS: Final = _query("log_writers")
LOG_END: Final = _query("log_end")
OPEN_INSTANCES: Final = _query("open_instances")
OPEN_INSTANCES_AFTER: Final = _query("open_instances_after")
DUE_INSTANCES: Final = _query("due_instances")
NEXT_WAKE: Final = _query("next_wake")
DEFINITIONS: Final = _query("definitions")
NOTE_DEFINITIONS: Final = _query("note_definitions")

TAKE_TOKEN: Final = _query("take_token")
JOIN: Final = _query("join")
LEAVE: Final = _query("leave")
RENEW: Final = _query("renew")
FENCE: Final = _query("fence")
STANDING: Final = _query("standing")
CLAIM: Final = _query("claim")
RELEASE: Final = _query("release")
OUTSTANDING: Final = _query("outstanding")
OUTSTANDING_AFTER: Final = _query("outstanding_after")
DUE_IN_SHARDS: Final = _query("due_in_shards")
NEXT_WAKE_IN_SHARDS: Final = _query("next_wake_in_shards")

TAKE_INBOX_NUMBERS: Final = _query("take_inbox_numbers")
PUT_INBOX: Final = _query("put_inbox")
READ_INBOX: Final = _query("read_inbox")
SETTLE_INBOX: Final = _query("settle_inbox")
FIND_START: Final = _query("find_start")
WHY_PARKED: Final = _query("why_parked")
PARK_INBOX: Final = _query("park_inbox")
READ_ANSWERS: Final = _query("read_answers")
FORGET_ANSWERS: Final = _query("forget_answers")
NOTIFY: Final = _query("notify")

SESSION_FACTS: Final = _query("session_facts")
WAIT_FOR_COMMITS: Final = _query("wait_for_commits")
CREATE_SCHEMA: Final = _query("create_schema")
LOCK_MIGRATIONS: Final = _query("lock_migrations")
CREATE_MIGRATION_TABLE: Final = _query("create_migration_table")
APPLIED_MIGRATIONS: Final = _query("applied_migrations")
RECORD_MIGRATION: Final = _query("record_migration")
SHARE_HOLD: Final = _query("share_hold")
TRY_HOLD: Final = _query("try_hold")
TAKE_HOLD: Final = _query("take_hold")
LET_GO: Final = _query("let_go")
PATIENCE: Final = _query("patience")
HOLDER: Final = _query("holder")
END_SESSION: Final = _query("end_session")

CREATE_LIMIT_TABLE: Final = _query("create_limit_table")
LIMIT_TRANSITION: Final = _query("limit_transition")
DROP_SCHEMA: Final = _query("drop_schema")
STORED_BYTES: Final = _query("stored_bytes")
BACKEND: Final = _query("backend")
