"""Where a store is: the server, the database, the schema in it; from an address as users write it.

Rules
- ``postgresql://USER:PASSWORD@HOST:PORT/NAME?…``, also with ``jdbc:`` before it. Without a host in front, ``host=``
  names the folder of a Unix socket.
- Of the parameters, those about TLS go to the driver; ``schema`` (or JDBC's ``currentSchema``) and
  ``application_name`` are ours; what only tunes a JDBC driver is left out; any other is refused.
- Shown without its password, and no error text holds it.
It does not: connect.
"""

import os
import re
import socket
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

PORT: Final = 5432
SCHEMA: Final = "amends"
FORMS: Final = "write postgresql://USER:PASSWORD@HOST:PORT/NAME"
LONGEST_NAME: Final = 63
"""Bytes that PostgreSQL keeps of an identifier or an application's name."""

_SCHEMA = re.compile(rf"[a-z_][a-z0-9_]{{0,{LONGEST_NAME - 1}}}")
_TLS = frozenset(
    {
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
    }
)
_PLACE = frozenset({"host", "port", "user", "password", "dbname"})
_OURS = frozenset({"schema", "currentSchema", "application_name", "ApplicationName"})
_JDBC_ONLY = frozenset(
    {
        "connectTimeout",
        "loginTimeout",
        "prepareThreshold",
        "reWriteBatchedInserts",
        "socketTimeout",
        "stringtype",
        "tcpKeepAlive",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A store's place. `host` is a name, an IP address, or the folder of a Unix socket."""

    host: str
    port: int = PORT
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str = SCHEMA
    application: str
    tls: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str, *, schema: str | None = None) -> "Address":
        """Read an address; `schema` counts before the one in it.

        Raises:
            ValueError: it is none; the text does not repeat it, for it may hold a password.
        """
        parts = _split(url)
        options = _options(parts.query)
        host = options.get("host") or _host(parts)
        database = unquote(parts.path.removeprefix("/")) or options.get("dbname", "")
        if not host or not database:
            raise ValueError(f"the address names no host or no database: {FORMS}")
        return cls(
            host=host,
            port=_port(parts, options),
            database=database,
            user=unquote(parts.username or "") or options.get("user"),
            password=unquote(parts.password or "") or options.get("password"),
            schema=_schema(schema or options.get("schema") or options.get("currentSchema") or SCHEMA),
            application=options.get("application_name") or options.get("ApplicationName") or _this_process(),
            tls=tuple((name, value) for name, value in options.items() if name in _TLS),
        )

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        host = f"[{self.host}]" if ":" in self.host else self.host
        place = f"{host}:{self.port}/{self.database}" if not host.startswith("/") else f"/{self.database}"
        socket_folder = f"?host={self.host}&port={self.port}" if host.startswith("/") else ""
        inside = "" if self.schema == SCHEMA else f" (schema {self.schema})"
        return f"postgresql://{user}{place}{socket_folder}{inside}"

    def of_views(self) -> "Address":
        """Return where the read model is that belongs to a store here.

        Raises:
            ValueError: the schema's name is too long for that.
        """
        return replace(self, schema=_schema(f"{self.schema}_views"))

    @property
    def tls_address(self) -> str | None:
        """What tells the driver about TLS, if anything is said: an address of parameters alone."""
        return f"postgresql:///?{urlencode(self.tls)}" if self.tls else None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.removeprefix("jdbc:"))
    except ValueError:
        raise ValueError(f"the address of the database cannot be read: {FORMS}") from None
    if parts.scheme not in {"postgresql", "postgres"} or parts.fragment:
        raise ValueError(f"the address of the database is none of PostgreSQL: {FORMS}")
    return parts


def _options(query: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError(
            "the parameters of the database's address cannot be read: write ?NAME=VALUE"
        ) from None
    if options.pop("ssl", "false") not in {"false", "0"}:
        options.setdefault("sslmode", "require")
    known = _TLS | _PLACE | _OURS | _JDBC_ONLY
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"the address of the database has a parameter that is not known here: {unknown[0]}")
    return options


def _host(parts: SplitResult) -> str:
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError(
            "the address of the database names several hosts: name the one that leads to the primary"
        )
    return parts.hostname or ""


def _port(parts: SplitResult, options: dict[str, str]) -> int:
    try:
        port = parts.port if parts.port is not None else int(options.get("port") or PORT)
    except ValueError:
        port = 0
    if not 0 < port < 65_536:  # noqa: PLR2004  what a port is
        raise ValueError("the port in the database's address is not from 1 to 65,535")
    return port


def _schema(name: str) -> str:
    if not _SCHEMA.fullmatch(name) or name.startswith("pg_"):
        raise ValueError(
            "the database's schema is named with small letters, digits and _, at most 63 of them"
        )
    return name


def _this_process() -> str:
    """How the server's list of sessions shows this process; the host's name is cut when it is very long."""
    tail = f" {os.getpid()}"
    return f"amends {socket.gethostname()}"[: LONGEST_NAME - len(tail)] + tail
