"""The one place that joins adapters to roles: stores and bindings by name.

Rules: an adapter is imported when it is asked for, so the bare library needs only what it uses.
It does not: hold rules or settings.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from amends.adapters.local.refuse import Refuse
from amends.application.callbacks import Callbacks
from amends.ports import EventStore, Transport

__all__ = [
    "Callbacks",
    "Refuse",
    "Transport",
    "callbacks",
    "http",
    "local",
    "memory",
    "sqlite",
    "sqlite_limits",
]


def memory() -> EventStore:
    """Return a store that forgets everything at the end: for tests and trials."""
    from amends.adapters.memory import MemoryEventStore

    return MemoryEventStore()


def sqlite(path: str | Path) -> EventStore:
    """Return the embedded durable store in the file at `path`, which is made when it is not there."""
    from amends.adapters.sqlite import SqliteEventStore

    return SqliteEventStore(path)


def sqlite_limits(folder: Path) -> tuple[float, float]:
    """Return what SQLite itself can do below `folder`: commits per second, and sagas per second at 100 a commit."""
    from amends.adapters.sqlite.limits import measure_limits

    limits = measure_limits(folder)
    return limits.commits_per_s, limits.sagas_per_s_100_per_commit


def local(handlers: Mapping[str, Callable[..., Any]]) -> Transport:
    """Bind a participant to functions in this process, by command name."""
    from amends.adapters.local import LocalTransport

    return LocalTransport(handlers)


def http(
    base_url: str,
    *,
    timeout: timedelta = timedelta(seconds=30),
    headers: Mapping[str, str] | None = None,
    callback_url: str | None = None,
) -> Transport:
    """Bind a participant to a service: a command is posted to ``{base_url}/{command name}``. Needs ``amends[http]``."""
    from amends.adapters.http import HttpTransport

    return HttpTransport(base_url, timeout=timeout, headers=headers, callback_url=callback_url)


def callbacks(*, host: str = "127.0.0.1", port: int = 0) -> Callbacks:
    """Make the door for replies of participants that answer 202; `port` 0 takes a free one. Needs ``amends[http]``."""
    from amends.adapters.http.callbacks import CallbackListener

    return Callbacks(lambda deliver: CallbackListener(deliver=deliver, host=host, port=port))
