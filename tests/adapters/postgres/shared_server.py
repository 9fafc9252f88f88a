"""The PostgreSQL of a test run.

Rules: each storage is a schema of its own, so tests do not see one another.
It does not: start anything before it is asked for (`tests/adapters/shared.py` says how long it lives).
"""

import uuid

import psycopg

from servers import postgresql
from tests.adapters.shared import Shared

_SHARED = Shared("servers.postgresql")


def server() -> postgresql.Server:
    """Return the shared server."""
    found: postgresql.Server = _SHARED.server()
    return found


def new_schema() -> str:
    """Return a name that nobody has used."""
    return f"t_{uuid.uuid4().hex[:16]}"


def new_database() -> str:
    """Return the address of a database that nobody has used."""
    name = f"d_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server().local_address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server().local_address.replace("/amends?", f"/{name}?")
