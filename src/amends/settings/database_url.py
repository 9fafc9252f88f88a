"""The address of a database, in every form that its users know.

Rules
- SQLite is a file: `amends.db`, `sqlite:/var/lib/amends.db`, `jdbc:sqlite:amends.db`. `memory:` forgets everything.
- PostgreSQL is `postgresql://…` or, as Spring has it, `jdbc:postgresql://…`, with the user in the address or beside it.
  What says where it is may stand among the parameters, as the adapter reads it: `host` there counts before the host in
  front and may be the folder of a Unix socket; of the others what stands in front counts.
- What looks like an address with a slip is refused, and not taken for the name of a file.
- Shown without its password.
It does not: connect, or look at the disk.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from amends.settings.kinds import MOST_CHARACTERS, Kind, Wrong, host
from amends.settings.secret import Secret, masked

POSTGRESQL_PORT = 5432
FORMS = "write a file, sqlite:FILE, postgresql://HOST/NAME or jdbc:postgresql://HOST/NAME"

LARGEST_PORT = 65_535

_PLACE = frozenset({"host", "port", "user", "password", "dbname"})
_PATH = re.compile(r"[^:@?*<>|\"]+")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class DatabaseUrl:
    """Where the streams are: `path` for SQLite; `host`, `port`, `name` and the rest for PostgreSQL.

    `host` is a name, an IP address, or the folder of a Unix socket.
    """

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
        place, parameters = self._parts()
        query = "&".join(f"{name}={value}" for name, value in parameters)
        return masked(f"postgresql://{user}{place}/{self.name}{'?' if query else ''}{query}")

    def __repr__(self) -> str:
        return f"DatabaseUrl({str(self)!r})"

    def reveal(self) -> str:
        """Return the whole address for who connects, password and all; for PostgreSQL only."""
        password = "" if self.password is None else f":{quote(self.password.reveal(), safe='')}"
        user = "" if self.username is None else f"{quote(self.username, safe='')}{password}@"
        place, parameters = self._parts()
        query = urlencode(parameters)
        return f"postgresql://{user}{place}/{quote(self.name, safe='')}{'?' if query else ''}{query}"

    def _parts(self) -> tuple[str, list[tuple[str, str]]]:
        """Return what stands before the database's name, and the parameters behind it."""
        options = [(name, value.reveal()) for name, value in self.options]
        if self.host.startswith("/"):
            return "", [("host", self.host), ("port", str(self.port)), *options]
        place = f"[{self.host}]" if ":" in self.host else self.host
        return f"{place}:{self.port}", options


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
    known = dict(options)
    if len(known) != len(options):
        raise Wrong("one of its parameters is there twice")
    password = unquote(parts.password or "") or known.get("password")
    return DatabaseUrl(
        kind="postgresql",
        name=_read_name(parts, known),
        host=_read_place(parts, known),
        port=_read_port(parts, known),
        username=unquote(parts.username or "") or known.get("user") or None,
        password=Secret(password) if password else None,
        options=tuple((name, Secret(value)) for name, value in options if name not in _PLACE),
    )


def _read_name(parts: SplitResult, known: Mapping[str, str]) -> str:
    path = parts.path.removeprefix("/")
    name = unquote(path) or known.get("dbname", "")
    if not name or "/" in path or parts.fragment:
        raise Wrong("write the database's name behind the host: postgresql://HOST/NAME")
    return name


def _read_place(parts: SplitResult, known: Mapping[str, str]) -> str:
    """Return the host, or the folder of a socket, which can only be a parameter."""
    place = known.get("host") or parts.hostname
    if not place:
        raise Wrong(
            "write the host, or the folder of a socket: postgresql://HOST/NAME, postgresql:///NAME?host=/FOLDER"
        )
    return place if place.startswith("/") else host().read(place)


def _read_port(parts: SplitResult, known: Mapping[str, str]) -> int:
    try:
        port = int(known.get("port") or POSTGRESQL_PORT) if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not 1 <= port <= LARGEST_PORT:
        raise Wrong("its port is not from 1 to 65,535")
    return port
