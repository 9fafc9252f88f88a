"""The exchange over redis-py.

Rules: a meeting is one call of a script, answered within the timeout or given up; the client repeats nothing by itself.
The keys of one namespace lie together, also in a cluster.
It does not: keep trying (the role that meets does), or log.
"""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from amends.ports.exchange import ExchangeAway, Heard, Met, Said, Turn, Wish

SCRIPT: Final = files("amends.adapters.redis").joinpath("meet.lua").read_text(encoding="utf-8")
MILLISECOND: Final = timedelta(milliseconds=1)


class RedisAddress(NamedTuple):
    """Where a Redis is, and how it is spoken to."""

    host: str
    port: int = 6379
    username: str | None = None
    password: str | None = None
    database: int = 0
    ssl: bool = False
    timeout: timedelta = timedelta(seconds=1)
    """How long an answer is waited for."""


class TurnOnWire(msgspec.Struct):
    """A turn, in milliseconds; `left` is -1 when a person must close it."""

    stage: Literal["open", "ramping"]
    left: float
    ago: float
    opened: int
    by_hand: bool


class SaidOnWire(msgspec.Struct, omit_defaults=True):
    turn_id: str
    heard: str
    is_new: bool = False
    probe: bool = False
    turn: TurnOnWire | None = None
    wish: Wish | None = None


class HeardOnWire(msgspec.Struct):
    turn_id: str = ""
    probe: bool = False
    calls: int = 0
    turn: TurnOnWire | None = None


class MetOnWire(msgspec.Struct):
    members: int
    # An empty table of Lua is an empty list to JSON.
    heard: dict[str, HeardOnWire] | list[None]


class RedisExchange:
    """One per process, named at random."""

    def __init__(self, address: RedisAddress, *, namespace: str) -> None:
        """Meet those that have the same namespace in the same database; nothing is connected yet."""
        self._address = address
        seconds = address.timeout.total_seconds()
        self._client: Any = redis.asyncio.Redis(
            host=address.host,
            port=address.port,
            db=address.database,
            username=address.username,
            password=address.password,
            ssl=address.ssl,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
            client_name="amends",
        )
        self._script = self._client.register_script(SCRIPT)
        self._process = uuid.uuid4().hex
        of = f"amends:{{{namespace}}}"
        self._keys = [f"{of}:{name}" for name in ("members", "turns", "probes", "calls")]

    async def meet(self, said: Mapping[str, Said]) -> Met:
        """Say how things stand here, and hear how they do elsewhere."""
        spoken = {name: _on_wire(each) for name, each in said.items()}
        try:
            answer = await self._script(keys=self._keys, args=[self._process, msgspec.json.encode(spoken)])
            met = msgspec.json.decode(cast("bytes", answer), type=MetOnWire)
        except (RedisError, OSError, TimeoutError, msgspec.MsgspecError) as error:
            where = f"redis at {self._address.host}:{self._address.port}"
            raise ExchangeAway(f"{where}: {str(error) or type(error).__name__}") from error
        heard = met.heard if isinstance(met.heard, dict) else {}
        return Met(members=met.members, heard={name: _heard(each) for name, each in heard.items()})

    async def leave(self) -> None:
        """Take leave; who does not come to it is forgotten soon all the same."""
        with suppress(RedisError, OSError, TimeoutError):
            await self._client.zrem(self._keys[0], self._process)
        with suppress(RedisError, OSError, TimeoutError):
            await self._client.aclose()


def _on_wire(said: Said) -> SaidOnWire:
    turn = said.turn
    return SaidOnWire(
        turn_id=said.turn_id,
        heard=said.heard,
        is_new=said.is_new,
        probe=said.probe,
        turn=None
        if turn is None
        else TurnOnWire(
            stage=turn.stage,
            left=-1 if turn.left is None else max(0.0, turn.left / MILLISECOND),
            ago=turn.ago / MILLISECOND,
            opened=turn.opened,
            by_hand=turn.by_hand,
        ),
        wish=said.wish,
    )


def _heard(heard: HeardOnWire) -> Heard:
    turn = heard.turn
    return Heard(
        turn_id=heard.turn_id,
        probe=heard.probe,
        calls=heard.calls,
        turn=None
        if turn is None
        else Turn(
            stage=turn.stage,
            left=None if turn.left < 0 else turn.left * MILLISECOND,
            ago=turn.ago * MILLISECOND,
            opened=turn.opened,
            by_hand=turn.by_hand,
        ),
    )
