"""The stores that the settings name: where streams are, and where the lists are.

Rules: an account beside the address wins over the one in it. Nothing is opened here.
They do not: read settings.
"""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

from amends import bootstrap
from amends.settings.model import Database


class NotServed(Exception):
    """What the configuration asks for is still to come, or cannot be had here."""


class Stores(NamedTuple):
    """An event store and its read model, not open yet."""

    store: Any
    read_model: Any


def stores(database: Database) -> Stores:
    """Return what the settings name.

    Raises:
        NotServed: it cannot be had here.
    """
    match database.url.kind:
        case "memory":
            return Stores(bootstrap.memory(), bootstrap.memory_read_model())
        case "sqlite":
            path = database.url.path
            return Stores(bootstrap.sqlite(path), bootstrap.sqlite_read_model(f"{path}.views"))
        case "postgresql":
            return _postgres(database)


def parked(database: Database) -> Any:
    """Return where records are parked: beside the store.

    Raises:
        NotServed: it cannot be had here.
    """
    match database.url.kind:
        case "memory":
            return bootstrap.memory_parked()
        case "sqlite":
            return bootstrap.sqlite_parked(f"{database.url.path}.parked")
        case "postgresql":
            return bootstrap.postgres_parked(_address(database))


def migrated_place(database: Database) -> tuple[str | Path, str | None]:
    """Return what `bootstrap.migrate` wants: the store, and where its lists are if that is said.

    Raises:
        NotServed: nothing can be migrated there.
    """
    if database.url.kind == "memory":
        raise NotServed("a store in memory has nothing to migrate: name a file or a PostgreSQL server")
    if database.url.kind == "sqlite":
        return Path(database.url.path), None
    return _address(database), _views_address(database)


def _postgres(database: Database) -> Stores:
    address, views = _address(database), _views_address(database)
    name, within = "database.url", database.connect_timeout
    try:
        store = bootstrap.postgres(
            address, connections=database.pool_size, connect_timeout=within, lease=database.lease
        )
        name = "database.views-url" if views else name
        return Stores(store, bootstrap.postgres_read_model(views or address, connect_timeout=within))
    except ValueError as error:
        raise NotServed(f"{name}: {error}") from error


def _address(database: Database) -> str:
    if importlib.util.find_spec("asyncpg") is None:
        raise NotServed('database.url: PostgreSQL needs asyncpg: pip install "amends[postgres]"')
    return dataclasses.replace(
        database.url,
        username=database.username or database.url.username,
        password=database.password or database.url.password,
    ).reveal()


def _views_address(database: Database) -> str | None:
    url = database.views_url
    if url is None:
        return None
    if url.kind != "postgresql":
        raise NotServed(
            "database.views-url: only PostgreSQL can be named there; without it the store's database"
        )
    return url.reveal()
