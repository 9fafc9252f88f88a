"""The canonical JSON shape of a saga, and its fingerprint.

Rules: made from the values alone, nothing is run; the same definition gives the same bytes on every machine.
Functions appear by name, so swapping one for another shows; so do types that are given, not those that are read from
annotations. Policies and timeouts are part of it. Default values are left out, so that the shape stays small: it goes
into every instance's first event.
It does not: try to see into functions; a changed body under the same name keeps the fingerprint.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias, get_args, get_origin

import msgspec

from amends.definition import nodes as n
from amends.definition.policy import FORWARD, STEP_TIMEOUT, UNDO, RetryPolicy

Shape: TypeAlias = dict[str, Any]

_ENCODER = msgspec.json.Encoder(order="deterministic")


def shape(saga: "n.Saga[Any]") -> bytes:
    """Return the canonical JSON of `saga`."""
    return _ENCODER.encode(_saga(saga))


def fingerprint(saga: "n.Saga[Any]") -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the shape."""
    return sha256(shape(saga)).hexdigest()[:16]


def _saga(saga: "n.Saga[Any]") -> Shape:
    return _known(
        saga=saga.name,
        version=saga.version,
        data=_type_name(saga.data),
        deadline=_seconds(saga.deadline),
        statuses=_statuses(saga.statuses),
        body=_node(saga.body),
    )


def _known(**entries: Any) -> Shape:
    return {key: value for key, value in entries.items() if value not in (None, (), {}, [])}


def _type_name(of: Any) -> str | None:
    if of is None:
        return None
    name: str = getattr(get_origin(of) or of, "__name__", str(of))
    arguments = ", ".join(_type_name(argument) or "None" for argument in get_args(of))
    return f"{name}[{arguments}]" if arguments else name


def _function(function: Callable[..., Any] | None) -> str | None:
    if function is None:
        return None
    if isinstance(function, partial):
        return f"partial {_function(function.func)}"
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    return name.rpartition("<locals>.")[2]


def _seconds(length: timedelta | None) -> float | int | None:
    if length is None:
        return None
    seconds = length.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _statuses(statuses: n.Statuses) -> Shape:
    return _known(
        started=statuses.started,
        completed=statuses.completed,
        compensating=statuses.compensating,
        compensated=statuses.compensated,
        cancelled=statuses.cancelled,
        transitions=dict(statuses.transitions or {}),
    )


def _policy(policy: RetryPolicy, default: RetryPolicy) -> Any:
    if policy == default:
        return None
    return [policy.attempts, policy.backoff, _seconds(policy.first), _seconds(policy.cap), policy.jitter]


def _node(node: Any) -> Shape | None:
    return None if node is None else _KINDS[type(node)](node)


def _timeout(timeout: timedelta) -> float | int | None:
    return None if timeout == STEP_TIMEOUT else _seconds(timeout)


def _step(node: "n.Step[Any, Any]") -> Shape:
    return _known(
        step=node.name,
        at=node.participant.name,
        do=_function(node.do),
        undo=_function(node.undo),
        no_undo=node.no_undo,
        kind=None if node.kind == "compensatable" else node.kind,
        merge=_function(node.merge),
        reply=_type_name(node.reply),
        retry=_policy(node.retry, FORWARD if node.kind == "compensatable" else UNDO),
        undo_retry=_policy(node.undo_retry, UNDO),
        timeout=_timeout(node.timeout),
        waiting=node.waiting,
        refused=node.refused,
    )


def _on_rollback(node: "n.OnRollback[Any]") -> Shape:
    return _known(
        on_rollback=node.name,
        at=node.participant.name,
        undo=_function(node.undo),
        undo_retry=_policy(node.undo_retry, UNDO),
        timeout=_timeout(node.timeout),
    )


def _sequence(node: "n.SequenceNode[Any]") -> Shape:
    return _known(sequence=[_node(child) for child in node.nodes], name=node.name)


def _parallel(node: "n.ParallelNode[Any]") -> Shape:
    join = None if node.join == "all" else node.join
    return _known(parallel=[_node(child) for child in node.branches], join=join, name=node.name)


def _each(node: "n.EachNode[Any, Any]") -> Shape:
    return _known(
        each=_function(node.items),
        key=_function(node.key),
        collect=_function(node.collect),
        item=_type_name(node.item),
        body=_node(node.body),
        name=node.name,
    )


def _when(node: "n.WhenNode[Any]") -> Shape:
    return _known(
        when=_function(node.condition),
        body=_node(node.node),
        otherwise=_node(node.otherwise),
        name=node.name,
    )


def _tolerate(node: "n.TolerateNode[Any]") -> Shape:
    return _known(tolerate=_node(node.node), only_when=_function(node.only_when), name=node.name)


def _wait(node: "n.WaitNode[Any, Any]") -> Shape:
    return _known(
        wait_for=node.signal,
        content=_type_name(node.content),
        timeout=_seconds(node.timeout),
        merge=_function(node.merge),
        accept=_function(node.accept),
        otherwise=_node(node.otherwise),
        waiting=node.waiting,
        refused=node.refused,
        name=node.name,
    )


def _pause(node: "n.PauseNode[Any]") -> Shape:
    length = _seconds(node.length) if isinstance(node.length, timedelta) else _function(node.length)
    return _known(pause_for=length, waiting=node.waiting, name=node.name)


def _subsaga(node: "n.SubsagaNode[Any, Any]") -> Shape:
    return _known(
        subsaga=_saga(node.saga),
        given=_function(node.data),
        merge=_function(node.merge),
        name=node.name,
    )


_KINDS: dict[type[Any], Callable[[Any], Shape]] = {
    n.Step: _step,
    n.OnRollback: _on_rollback,
    n.SequenceNode: _sequence,
    n.ParallelNode: _parallel,
    n.EachNode: _each,
    n.WhenNode: _when,
    n.TolerateNode: _tolerate,
    n.WaitNode: _wait,
    n.PauseNode: _pause,
    n.SubsagaNode: _subsaga,
}
