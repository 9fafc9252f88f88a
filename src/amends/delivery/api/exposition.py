"""The metrics, as Prometheus reads them (text format 0.0.4).

Rules: every metric is in `METRICS` with its type and what it says; `docs/operating.md` lists them all, and a test holds
the three equal. What counts since this process began ends in `_total`. A saga's and a step's name are labels; a step
goes without its keys, so that the number of series has a bound.
It does not: count (`application/metrics.py` does).
"""

from collections.abc import Awaitable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from amends.application.breakers import Stage
from amends.application.metrics import Histogram
from amends.application.service import Gauges, Service
from amends.bootstrap import StoreError

K = TypeVar("K")
V = TypeVar("V")

MEDIA_TYPE = "text/plain"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """What a metric is."""

    kind: str
    says: str


METRICS: Mapping[str, Metric] = {
    "amends_sagas_started_total": Metric("counter", "Instances that were started, by saga."),
    "amends_sagas_completed_total": Metric("counter", "Instances that were completed, by saga."),
    "amends_sagas_compensated_total": Metric("counter", "Instances that were undone, by saga."),
    "amends_sagas_abandoned_total": Metric("counter", "Instances that a person gave up, by saga."),
    "amends_sagas_stuck_total": Metric("counter", "How often something came to wait for a person, by saga."),
    "amends_sagas_failed_total": Metric("counter", "Compensated and stuck together, by saga."),
    "amends_sagas": Metric("gauge", "Instances in the list, by saga and status."),
    "amends_step_seconds": Metric(
        "histogram", "From a command to its answer, by saga, step, direction, outcome."
    ),
    "amends_attempts_total": Metric("counter", "Attempts that were begun, by saga, step and direction."),
    "amends_faults_total": Metric("counter", "Attempts without a trustworthy answer, by saga and step."),
    "amends_timer_late_seconds": Metric("histogram", "How late timers were handled."),
    "amends_commit_transitions": Metric("histogram", "Transitions that were committed together."),
    "amends_commits_total": Metric("counter", "Commits of the store."),
    "amends_transitions_total": Metric("counter", "Transitions that were given to the store."),
    "amends_live": Metric("gauge", "Instances in memory."),
    "amends_waiting": Metric("gauge", "Callers that wait for room."),
    "amends_breaker_open": Metric(
        "gauge",
        "1 while a participant's breaker is open or half-open, 0.5 while it recovers, by participant.",
    ),
    "amends_breaker_trips_total": Metric("counter", "How often a breaker opened by itself, by participant."),
    "amends_commands_held_total": Metric(
        "counter", "Commands that could not go at once, by participant and what was in their way."
    ),
    "amends_commands_waiting": Metric("gauge", "Commands that wait for their turn, by participant."),
    "amends_commands_in_flight": Metric(
        "gauge", "Commands that were sent and are not answered, by participant."
    ),
    "amends_log_lag": Metric(
        "gauge", "Transitions that are durable and not yet taken in, by who follows the log."
    ),
    "amends_archived_total": Metric("counter", "Instances that were archived and given up by the store."),
    "amends_archived_bytes_total": Metric("counter", "Bytes that were written to the archive."),
    "amends_retention_failures_total": Metric(
        "counter", "Looks for what may go that did not come to their end."
    ),
    "amends_messages_total": Metric("counter", "Records that came in, by topic and what became of them."),
    "amends_parked": Metric("gauge", "Records that are kept aside, by state."),
    "amends_trouble": Metric(
        "gauge", "1 for a way on which records wait, by the binding, or intake; exchange."
    ),
    "amends_ready": Metric("gauge", "1 while work may come."),
    "amends_members": Metric("gauge", "Processes that share the store, this one among them."),
    "amends_shards": Metric("gauge", "Shards that this process decides; all processes' together are 64."),
    "amends_inbox_sent": Metric("gauge", "Triggers on their way to other processes."),
    "amends_inbox_received": Metric("gauge", "Triggers of other processes that are being decided."),
    "amends_inbox_parked_total": Metric("counter", "Rows of the inbox that were left to a person."),
    "amends_connections": Metric("gauge", "Open connections of clients."),
}

Labels = Mapping[str, str]


async def exposition(service: Service, *, connections: int) -> str:
    """Return all metrics."""
    gauges = service.gauges()
    text: list[str] = []
    for name, lines in {
        **_of_sagas(service),
        **await _of_lists(service),
        **_of_steps(service),
        **_of_engine(service, gauges),
        **_of_retention(service),
        **_of_participants(gauges),
        **await _of_records(service, gauges),
        "amends_connections": [_line("amends_connections", {}, connections)],
    }.items():
        metric = METRICS[name]
        text += [f"# HELP {name} {metric.says}", f"# TYPE {name} {metric.kind}", *lines]
    return "\n".join(text) + "\n"


def _of_sagas(service: Service) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for what in ("started", "completed", "compensated", "abandoned", "stuck", "failed"):
        name = f"amends_sagas_{what}_total"
        sagas = sorted(service.meter.sagas.items())
        found[name] = [_line(name, {"saga": saga}, getattr(counts, what)) for saga, counts in sagas]
    return found


async def _told(asked: Awaitable[Mapping[K, V]]) -> Mapping[K, V]:
    """Return what a store says; nothing while it is away, for the other metrics are needed most then."""
    try:
        return await asked
    except StoreError:
        return {}


async def _of_lists(service: Service) -> dict[str, list[str]]:
    if service.queries is None:
        return {"amends_sagas": []}
    counts = await _told(service.queries.counts())
    lines = [
        _line("amends_sagas", {"saga": saga, "status": status}, number)
        for saga, statuses in sorted(counts.items())
        for status, number in sorted(statuses.items())
    ]
    return {"amends_sagas": lines}


def _of_steps(service: Service) -> dict[str, list[str]]:
    meter = service.meter
    durations = [
        line
        for key, histogram in sorted(meter.durations.items())
        for line in _histogram("amends_step_seconds", key._asdict(), histogram)
    ]
    attempts = [_line("amends_attempts_total", key._asdict(), n) for key, n in sorted(meter.attempts.items())]
    # What a fault says is free text; as a label it would make a series of each. The events have it.
    faults: dict[tuple[str, str], int] = {}
    for (saga, step, _fault), number in meter.faults.items():
        faults[saga, step] = faults.get((saga, step), 0) + number
    return {
        "amends_step_seconds": durations,
        "amends_attempts_total": attempts,
        "amends_faults_total": [
            _line("amends_faults_total", {"saga": saga, "step": step}, number)
            for (saga, step), number in sorted(faults.items())
        ],
    }


def _of_engine(service: Service, gauges: Gauges) -> dict[str, list[str]]:
    late, commit = "amends_timer_late_seconds", "amends_commit_transitions"
    return {
        late: [*_histogram(late, {}, service.meter.lateness)],
        commit: [*_histogram(commit, {}, service.meter.batches)],
        "amends_commits_total": [_line("amends_commits_total", {}, gauges.commits)],
        "amends_transitions_total": [_line("amends_transitions_total", {}, gauges.appended)],
        "amends_live": [_line("amends_live", {}, gauges.live)],
        "amends_waiting": [_line("amends_waiting", {}, gauges.waiting)],
        "amends_log_lag": [
            _line("amends_log_lag", {"listener": name}, lag) for name, lag in sorted(gauges.lag.items())
        ],
        "amends_ready": [_line("amends_ready", {}, int(gauges.is_ready))],
        "amends_members": [_line("amends_members", {}, gauges.members)],
        "amends_shards": [_line("amends_shards", {}, gauges.shards)],
        "amends_inbox_sent": [_line("amends_inbox_sent", {}, gauges.sent)],
        "amends_inbox_received": [_line("amends_inbox_received", {}, gauges.received)],
        "amends_inbox_parked_total": [_line("amends_inbox_parked_total", {}, gauges.parked)],
    }


def _of_retention(service: Service) -> dict[str, list[str]]:
    role = service.retention
    counts = {"archived": 0, "archived_bytes": 0, "retention_failures": 0}
    if role is not None:
        counts = {
            "archived": role.archived,
            "archived_bytes": role.size,
            "retention_failures": role.failures,
        }
    return {
        f"amends_{what}_total": [_line(f"amends_{what}_total", {}, number)] for what, number in counts.items()
    }


OPENNESS: Mapping[Stage, float] = {"closed": 0, "ramping": 0.5, "half-open": 1, "open": 1}


def _of_participants(gauges: Gauges) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {
        "amends_breaker_open": [],
        "amends_breaker_trips_total": [],
        "amends_commands_held_total": [],
        "amends_commands_waiting": [],
        "amends_commands_in_flight": [],
    }
    for each in gauges.participants:
        labels = {"participant": each.name}
        for name, value in (
            ("amends_breaker_open", OPENNESS[each.breaker]),
            ("amends_breaker_trips_total", each.trips),
            ("amends_commands_waiting", each.waiting),
            ("amends_commands_in_flight", each.in_flight),
        ):
            found[name].append(_line(name, labels, value))
        name = "amends_commands_held_total"
        found[name] += [_line(name, {**labels, "by": what}, n) for what, n in sorted(each.held.items())]
    return found


async def _of_records(service: Service, gauges: Gauges) -> dict[str, list[str]]:
    came, kept = "amends_messages_total", "amends_parked"
    trouble = [_line("amends_trouble", {"way": name}, 1) for name in sorted(gauges.troubles)]
    arrivals = service.arrivals
    if arrivals is None:
        return {came: [], kept: [], "amends_trouble": trouble}
    states = await _told(arrivals.parked.counts())
    return {
        came: [
            _line(came, {"topic": topic, "outcome": outcome}, number)
            for (topic, outcome), number in sorted(arrivals.outcomes.items())
        ],
        kept: [_line(kept, {"state": state}, number) for state, number in sorted(states.items())],
        "amends_trouble": trouble,
    }


def _histogram(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    below = 0
    for bound, number in zip(histogram.bounds, histogram.counts, strict=False):
        below += number
        yield _line(f"{name}_bucket", {**labels, "le": f"{bound:g}"}, below)
    yield _line(f"{name}_bucket", {**labels, "le": "+Inf"}, histogram.count)
    yield _line(f"{name}_sum", labels, histogram.total)
    yield _line(f"{name}_count", labels, histogram.count)


def _line(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{shown}}} {value:.15g}" if shown else f"{name} {value:.15g}"


def escaped(text: str) -> str:
    """Return `text` as a label's value."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
