"""What an application leaves in the inbox of a store: a start, or a signal, checked and encoded.

Rules: whatever can be refused is refused here, before anything is written, for nobody listens once the application has
committed: a definition that breaks a rule, data that do not fit it, an id that cannot be one. The data are encoded as
`Orchestrator.start` encodes them, so that the same data are the same.
It does not: write, or know whether the instance exists.
"""

from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from amends.application.errors import DataUnfit, NotEncodable
from amends.application.orchestrator import SystemClock, namespace_checked
from amends.application.saga_id import SagaIds, checked
from amends.core.codec import Codec, JsonCodec, Unreadable
from amends.core.effect import TraceContext
from amends.core.plan import Plan, compile_saga
from amends.definition import Saga
from amends.ports import Deposit

D = TypeVar("D")

MOST_KEPT: Final = 256
"""Definitions that are kept compiled; an application has a few."""

_CODEC: Final = JsonCodec()
_IDS: Final = SagaIds(SystemClock())


class StartBody(msgspec.Struct, frozen=True):
    """The body of a start; `version` None would mean the highest that the orchestrator has."""

    saga: str
    version: int | None
    data: msgspec.Raw
    trace: TraceContext | msgspec.UnsetType = msgspec.UNSET
    """What the application was doing; absent when it had no trace."""


class SignalBody(msgspec.Struct, frozen=True):
    """The body of a signal."""

    signal: str
    content: msgspec.Raw
    signal_id: str


def start_deposit(
    saga: Saga[D],
    data: D,
    *,
    saga_id: str | None,
    namespace: str,
    codec: Codec | None,
    at_once: bool,
    trace: TraceContext | None = None,
) -> Deposit:
    """Return a start of `saga` with `data`, whose trace goes on; without `saga_id` an id is made.

    Raises:
        DefinitionError: the definition breaks a rule.
        NotEncodable, DataUnfit: the data have no JSON form, or do not fit the saga's type.
        SagaIdInvalid, ValueError: the id, or the namespace, cannot be one.
    """
    plan = _compiled(saga)
    document = _encoded(codec, data)
    read = plan.decoders[""] if codec is None else codec.decoder(saga.data)
    try:
        read(document)
    except Unreadable as error:
        raise DataUnfit("unreadable", f"the data do not fit saga {saga.name!r}: {error}") from error
    body = StartBody(saga.name, saga.version, msgspec.Raw(document), trace or msgspec.UNSET)
    made = _IDS.make() if saga_id is None else checked(saga_id)
    return Deposit(namespace_checked(namespace), made, "start", msgspec.json.encode(body), at_once)


def signal_deposit(
    saga_id: str,
    signal: str,
    content: object,
    *,
    signal_id: str,
    namespace: str,
    codec: Codec | None,
    at_once: bool,
) -> Deposit:
    """Return a signal to the instance `saga_id`.

    Raises:
        NotEncodable: the content has no JSON form.
        SagaIdInvalid, ValueError: the id, or the namespace, cannot be one.
    """
    body = SignalBody(signal, msgspec.Raw(_encoded(codec, content)), signal_id)
    return Deposit(
        namespace_checked(namespace), checked(saga_id), "signal", msgspec.json.encode(body), at_once
    )


@lru_cache(maxsize=MOST_KEPT)
def _compiled(saga: Saga[Any]) -> Plan:
    return compile_saga(saga)


def _encoded(codec: Codec | None, value: object) -> bytes:
    try:
        return (codec or _CODEC).encode(value)
    except Unreadable as error:
        raise NotEncodable(str(error)) from error
