"""A client of a schema registry: the protocol of Confluent's, which others speak as well.

    GET  /schemas/ids/{id}                     a schema by its id
    GET  /subjects/{subject}/versions/latest   what is written by
    GET  /subjects/{subject}/versions/{n}      what a schema refers to
    POST /subjects/{subject}/versions          registers one

Rules
- Whatever passes by itself, or is mended outside (no answer, 5xx, no permission), is `RegistryAway`.
- What a schema refers to is fetched with it.
It does not: keep anything (`codec.py` does), or try again.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

import aiohttp

from amends.avro.derive import Shape
from amends.avro.errors import BadSchema, NoSubject, RegistryAway, RegistryRefused, UnknownSchema
from amends.wire.excerpt import excerpt

CONTENT: Final = "application/vnd.schemaregistry.v1+json"
LONGEST: Final = 4 << 20
"""Bytes of an answer that are read."""
WAITING: Final = 10.0
"""Seconds within which whoever waits has asked again."""
MOST_REFERENCES: Final = 100
NO_SUBJECT: Final = 40401
NO_VERSION: Final = 40402
NO_SCHEMA: Final = 40403
_THROUGH: Final = frozenset(
    {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)


_log = logging.getLogger(__name__)


class Registered(NamedTuple):
    """A schema as the registry has it."""

    id: int
    text: str
    references: tuple[str, ...] = ()
    """The texts of those that it refers to, each after what itself refers to."""


class SchemaRegistry:
    """One registry at `url`, with an account if it wants one. Use it in one event loop."""

    def __init__(
        self, url: str, *, username: str | None = None, password: str | None = None, within: float = 5.0
    ) -> None:
        """`within`: seconds that one question may take."""
        self._url = url.rstrip("/")
        self._headers = {"Accept": CONTENT, "Content-Type": CONTENT}
        if username is not None:
            self._headers["Authorization"] = aiohttp.encode_basic_auth(username, password or "")
        self._within = aiohttp.ClientTimeout(total=within)
        self._session: aiohttp.ClientSession | None = None
        self._failed: tuple[float, str] | None = None

    @property
    def trouble(self) -> str:
        """Why it does not answer; empty when it does, and when nobody has asked for a while, so nobody waits."""
        if self._failed is None or time.monotonic() - self._failed[0] > WAITING:
            return ""
        return self._failed[1]

    async def by_id(self, schema_id: int) -> Registered:
        """Return the schema of an id.

        Raises:
            UnknownSchema: there is none. BadSchema: it is not Avro. RegistryAway: ask again.
        """
        status, said = await self._ask("GET", f"/schemas/ids/{schema_id}")
        if status == HTTPStatus.NOT_FOUND:
            raise UnknownSchema(f"the registry has no schema {schema_id}")
        return await self._registered(schema_id, said)

    async def latest(self, subject: str) -> Registered:
        """Return the newest schema of a subject.

        Raises:
            NoSubject: there is none yet. BadSchema: it is not Avro. RegistryAway: ask again.
        """
        status, said = await self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/latest")
        if status == HTTPStatus.NOT_FOUND:
            raise NoSubject(f"the registry has no subject {subject}")
        return await self._registered(int(said["id"]), said)

    async def register(self, subject: str, schema: Shape) -> int:
        """Make a schema the newest of a subject, and return its id; one that stands there already keeps its own.

        Raises:
            RegistryRefused: it is not taken. RegistryAway: try again.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions"
        status, said = await self._ask("POST", path, {"schema": json.dumps(schema)})
        if status != HTTPStatus.OK:
            raise RegistryRefused(f"{subject}: {excerpt(str(said.get('message')), limit=300)}")
        return int(said["id"])

    async def close(self) -> None:
        """Close the connections. Closing twice is harmless."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _registered(self, schema_id: int, said: Mapping[str, Any]) -> Registered:
        kind = str(said.get("schemaType", "AVRO"))
        if kind != "AVRO":
            raise BadSchema(f"schema {schema_id} is {excerpt(kind)}, not Avro")
        found: list[str] = []
        await self._refer(cast("Sequence[Any]", said.get("references") or ()), found, set())
        return Registered(schema_id, str(said["schema"]), tuple(found))

    async def _refer(self, references: Sequence[Any], found: list[str], seen: set[str]) -> None:
        for each in references:
            path = f"/subjects/{quote(str(each['subject']), safe='')}/versions/{int(each['version'])}"
            if path in seen:
                continue
            if len(seen) >= MOST_REFERENCES:
                raise BadSchema(f"the schema refers to more than {MOST_REFERENCES} others")
            seen.add(path)
            status, said = await self._ask("GET", path)
            if status != HTTPStatus.OK:
                raise BadSchema(f"the schema refers to {excerpt(path)}, which is not there")
            await self._refer(said.get("references") or (), found, seen)
            found.append(str(said["schema"]))

    async def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """Return status and document of an answer that the registry itself gave."""
        try:
            found = await self._asked(method, path, body)
        except RegistryAway as error:
            if self._failed is None:
                _log.warning("the schema registry does not answer, and what needs it waits: %s", error)
            self._failed = (time.monotonic(), str(error))
            raise
        if self._failed is not None:
            _log.warning("the schema registry answers again")
            self._failed = None
        return found

    async def _asked(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> tuple[int, Mapping[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._within, headers=self._headers)
        data = None if body is None else json.dumps(body).encode()
        try:
            async with self._session.request(method, self._url + path, data=data) as answer:
                said = await answer.content.read(LONGEST)
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise RegistryAway(
                f"{self._url}: {type(error).__name__} {excerpt(str(error))}".rstrip()
            ) from error
        return status, self._document(status, said)

    def _document(self, status: int, said: bytes) -> Mapping[str, Any]:
        try:
            document = json.loads(said)
        except ValueError:
            document = None
        if status not in _THROUGH or not isinstance(document, dict):
            raise RegistryAway(f"{self._url} answers {status}: {excerpt(said)}")
        found = cast("Mapping[str, Any]", document)
        if status == HTTPStatus.NOT_FOUND and found.get("error_code") not in {
            NO_SUBJECT,
            NO_VERSION,
            NO_SCHEMA,
        }:
            # Somebody else answers at this address.
            raise RegistryAway(f"{self._url} answers {status}: {excerpt(said)}")
        return found
