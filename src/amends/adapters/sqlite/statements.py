"""The SQL of this adapter: one operation, one file in `queries/`, read once when this module is imported.

Rules: values reach SQLite as bound parameters only. It does not: build SQL, or run it.
"""

from importlib.resources import files
from typing import Final


def _query(name: str) -> str:
    return (files("amends.adapters.sqlite") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


ADD_STREAM: Final = _query("add_stream")
BEGIN_STREAM: Final = _query("begin_stream")
BEGIN_TEN_STREAMS: Final = _query("begin_ten_streams")
LAST_STREAM: Final = _query("last_stream")
APPEND_TRANSITION: Final = _query("append_transition")
APPEND_TEN_TRANSITIONS: Final = _query("append_ten_transitions")
APPEND_TRANSITION_GUARDED: Final = _query("append_transition_guarded")
SET_OPEN_INSTANCE: Final = _query("set_open_instance")
SET_TEN_OPEN_INSTANCES: Final = _query("set_ten_open_instances")
CORRECT_OPEN_INSTANCE: Final = _query("correct_open_instance")
REMOVE_OPEN_INSTANCE: Final = _query("remove_open_instance")
READ_STREAM: Final = _query("read_stream")
OPEN_INSTANCES: Final = _query("open_instances")
OPEN_INSTANCES_AFTER: Final = _query("open_instances_after")
DUE_INSTANCES: Final = _query("due_instances")
NEXT_WAKE: Final = _query("next_wake")
COUNT_TABLES: Final = _query("count_tables")
CREATE_MIGRATION_TABLE: Final = _query("create_migration_table")
APPLIED_MIGRATIONS: Final = _query("applied_migrations")
RECORD_MIGRATION: Final = _query("record_migration")
READ_LOG: Final = _query("read_log")
LOG_END: Final = _query("log_end")
DEFINITIONS: Final = _query("definitions")
NOTE_DEFINITION: Final = _query("note_definition")
READ_LOG_END: Final = _query("read_log_end")
PROVE_WRITABLE: Final = _query("prove_writable")

VIEWS_SCHEMA: Final = _query("views_schema")
VIEWS_PUT: Final = _query("views_put")
VIEWS_MOVE_CHECKPOINT: Final = _query("views_move_checkpoint")
VIEWS_CHECKPOINT: Final = _query("views_checkpoint")
VIEWS_REMOVE: Final = _query("views_remove")
VIEWS_CLEAR: Final = _query("views_clear")
VIEWS_CLEAR_CHECKPOINT: Final = _query("views_clear_checkpoint")
VIEWS_COUNTS: Final = _query("views_counts")
VIEWS_COUNTS_OF_ALL: Final = _query("views_counts_of_all")
VIEWS_FIND_NEWEST: Final = _query("views_find_newest")
VIEWS_FIND_OLDEST: Final = _query("views_find_oldest")
VIEWS_FIND_OPEN_NEWEST: Final = _query("views_find_open_newest")
VIEWS_FIND_OPEN_OLDEST: Final = _query("views_find_open_oldest")

READ_LOG_ENDS: Final = _query("read_log_ends")
READ_STORED_STREAM: Final = _query("read_stored_stream")
FIND_STREAM: Final = _query("find_stream")
FIND_FINISHED_STREAM: Final = _query("find_finished_stream")
DELETE_TRANSITIONS: Final = _query("delete_transitions")
DELETE_STREAM: Final = _query("delete_stream")
RESTORE_TRANSITION: Final = _query("restore_transition")

PARKED_SCHEMA: Final = _query("parked_schema")
PARKED_PUT: Final = _query("parked_put")
PARKED_SETTLE: Final = _query("parked_settle")
PARKED_GET: Final = _query("parked_get")
PARKED_FIND: Final = _query("parked_find")
PARKED_COUNTS: Final = _query("parked_counts")

RELAY_REACHED: Final = _query("relay_reached")
RELAY_MOVE: Final = _query("relay_move")
