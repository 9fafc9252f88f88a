"""The address of a database, in every form that its users know.

Rules
- SQLite is a file: `amends.db`, `sqlite:/var/lib/amends.db`, `jdbc:sqlite:amends.db`. `memory:` forgets everything.
- PostgreSQL is `postgresql://…` or, as Spring has it, `jdbc:postgresql://…`, with the user in the address or beside it.
- What looks like an address with a slip is refused, and not taken for the name of a file.
- Shown without its password.
It does not: connect, or look at the disk.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from amends.settings.kinds import MOST_CHARACTERS, Kind, Wrong, host
from amends.settings.secret import Secret, masked

POSTGRESQL_PORT = 5432
FORMS = "write a file, sqlite:FILE, postgresql://HOST/NAME or jdbc:postgresql://HOST/NAME"

_PATH = re.compile(r"[^:@?*<>|\"]+")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class DatabaseUrl:
    """Where the streams are: `path` for SQLite; `host`, `port`, `name` and the rest for PostgreSQL."""

    kind: Literal["memory", "sqlite", "postgresql"]
    path: str = ""
    host: str = ""
    port: int = POSTGRESQL_PORT
    name: str = ""
    username: str | None = None
    password: Secret | None = None
    options: tuple[tuple[str, Secret], ...] = ()
    """The address's other parameters, in their order; some may be a key."""

    def __str__(self) -> str:
        if self.kind != "postgresql":
            return f"{self.kind}:{self.path}"
        user = "" if self.username is None else f"{self.username}@"
        if self.username is not None and self.password is not None:
            user = f"{self.username}:{self.password}@"
        query = "&".join(f"{name}={value.reveal()}" for name, value in self.options)
        place = f"[{self.host}]" if ":" in self.host else self.host
        return masked(f"postgresql://{user}{place}:{self.port}/{self.name}{'?' if query else ''}{query}")

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"

    def reveal(self) -> str:
        """Return the whole address for who connects, password and all; for PostgreSQL only."""
        password = "" if self.password is None else f":{quote(self.password.reveal(), safe='')}"
        user = "" if self.username is None else f"{quote(self.username, safe='')}{password}@"
        place = f"[{self.host}]" if ":" in self.host else self.host
        query = urlencode([(name, value.reveal()) for name, value in self.options])
        return (
            f"postgresql://{user}{place}:{self.port}/{quote(self.name, safe='')}{'?' if query else ''}{query}"
        )


def database_url() -> Kind[DatabaseUrl]:
    """Return the kind of a database's address."""
    return Kind(name="a database address", range="", read=read_database_url)


def read_database_url(text: str) -> DatabaseUrl:
    """Read an address in any of its forms.

    Raises:
        Wrong: it is in none of them.
    """
    if len(text) > MOST_CHARACTERS or not text.isprintable() or text != text.strip():
        raise Wrong(FORMS)
    scheme, colon, rest = text.removeprefix("jdbc:").partition(":")
    match scheme if colon else "":
        case "":
            # A word alone is more likely a slip than a file; `sqlite:word` says that it is one.
            return _read_file(text if re.search(r"[./]", text) else "")
        case "sqlite":
            return _read_file(rest)
        case "memory" if not rest:
            return DatabaseUrl(kind="memory")
        case "postgresql" | "postgres" if rest.startswith("//"):
            return _read_postgresql(f"postgresql:{rest}")
        case _:
            raise Wrong(FORMS)


def _read_file(path: str) -> DatabaseUrl:
    if path == ":memory:":
        raise Wrong("write memory:")
    if not _PATH.fullmatch(path) or "//" in path or path.endswith("/"):
        raise Wrong(FORMS)
    return DatabaseUrl(kind="sqlite", path=path)


def _read_postgresql(text: str) -> DatabaseUrl:
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Wrong(FORMS) from None
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name or parts.fragment:
        raise Wrong("write the database's name behind the host: postgresql://HOST/NAME")
    address = DatabaseUrl(
        kind="postgresql",
        host=_read_host_name(parts),
        port=_read_port(parts),
        name=name,
        username=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(parts.password)) if parts.password else None,
    )
    return _with_parameters(address, options)


def _read_host_name(parts: SplitResult) -> str:
    if not parts.hostname:
        raise Wrong("write the host: postgresql://HOST/NAME")
    return host().read(parts.hostname)


def _read_port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise Wrong("its port is not from 1 to 65,535")
    return port or POSTGRESQL_PORT


def _with_parameters(address: DatabaseUrl, options: list[tuple[str, str]]) -> DatabaseUrl:
    """JDBC has the user and the password among the parameters."""
    known = dict(options)
    if len(known) != len(options):
        raise Wrong("one of its parameters is there twice")
    password = known.get("password")
    return replace(
        address,
        username=known.get("user") or address.username,
        password=Secret(password) if password else address.password,
        options=tuple((name, Secret(value)) for name, value in options if name not in {"user", "password"}),
    )
