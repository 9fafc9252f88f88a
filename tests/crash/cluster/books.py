"""Whether everything adds up: in the store, and in the participants' own databases.

Rules
- In the store: no acknowledged start is missing, positions follow one another without a gap, every stream has one end,
  no index row is left.
- In the services: what each example checks for itself, over the ends that there were: every effect once, stock and
  money conserved.
- How long a saga that was interrupted took to go on is read from its own stream.
It does not: ask an orchestrator.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from amends.adapters.postgres import Address, PostgresStoreReader
from examples.reservation.streams import read_streams
from examples.running.cases import Case
from tests.adapters.postgres.lines import session
from tests.crash.cluster.load import World
from tests.crash.restarts import as_it_ended

WITH_A_GAP = """
WITH pair AS (
    SELECT stream.saga_id, position, events,
           lag(position + events, 1, 1) OVER (PARTITION BY stream.number ORDER BY position) AS due
    FROM transition JOIN stream ON stream.number = transition.stream
)
SELECT saga_id, position, due FROM pair WHERE position <> due
"""
ENDS = """
SELECT saga_id, count(*) FILTER (WHERE type IN ('SagaCompleted', 'SagaCompensated', 'SagaAbandoned')) AS ends
FROM event GROUP BY saga_id
"""
STILL_OPEN = "SELECT saga_id FROM open_saga ORDER BY saga_id LIMIT 20"
HISTORY = "SELECT position, type, time, body::text FROM event WHERE saga_id = $1 ORDER BY position"
AFTER = """
SELECT min(transition.recorded_at) FROM transition JOIN stream ON stream.number = transition.stream
WHERE stream.saga_id = $1 AND transition.recorded_at > $2
"""


async def wrong_in_store(address: Address, acknowledged: Sequence[str]) -> list[str]:
    """Tell what is wrong with the streams, when every saga should have ended."""
    async with session(address) as link:
        found = await link.fetch(WITH_A_GAP)
        gaps = [f"{saga_id} has position {position}, and {due} was due" for saga_id, position, due in found]
        ends: Mapping[str, int] = dict(await link.fetch(ENDS))
        left = [f"{row[0]} is still in the index" for row in await link.fetch(STILL_OPEN)]
    lost = [f"{saga_id} was acknowledged and is not there" for saga_id in acknowledged if saga_id not in ends]
    odd = [f"{saga_id} has {number} ends" for saga_id, number in ends.items() if number != 1]
    return [*lost, *gaps, *odd, *left]


async def wrong_in_services(world: World, address: Address) -> list[str]:
    """Tell what does not add up in the services' databases, or ended otherwise than it may."""
    wrong: list[str] = []
    for name, example in world.examples.items():
        ended: list[Case[Any]] = []
        for run in world.runs:
            if run.example is not example:
                continue
            document = world.seen.get(run.saga_id, {})
            found = as_it_ended(run.case, document)
            ended.append(found or run.case)
            if found is None:
                told = {key: document.get(key) for key in ("status", "business_status", "cause")}
                wrong.append(f"{run.saga_id} ended as {told}, expected {run.case.expect}")
        states: dict[str, object] = {
            service: msgspec.json.decode(await world.services[name].ask(service, "/state"))
            for service in example.services
        }
        if name == "reservation":
            states["streams"] = await _streams(address)
        explanations = example.check(ended, states).explanations
        wrong += [f"{name} {check}: {line}" for check, lines in explanations.items() for line in lines[:5]]
    return wrong


async def _streams(address: Address) -> object:
    reader = PostgresStoreReader(address)
    await reader.open()
    try:
        return await read_streams(reader)
    finally:
        await reader.close()


async def resumes(address: Address, interrupted: Mapping[str, float]) -> dict[str, float]:
    """Return how many seconds after its interruption each saga went on; one with nothing left to do is left out."""
    found: dict[str, float] = {}
    async with session(address) as link:
        for saga_id, at in interrupted.items():
            went_on = await link.fetchval(AFTER, saga_id, datetime.fromtimestamp(at, tz=UTC))
            if went_on is not None:
                found[saga_id] = went_on.timestamp() - at
    return found


async def history(address: Address, saga_id: str) -> str:
    """Return a saga's events, a line each, to be looked at."""
    async with session(address) as link:
        rows = await link.fetch(HISTORY, saga_id)
    return "\n".join(
        f"{time.timestamp():.3f} {position} {kind} {body}" for position, kind, time, body in rows
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all do not exceed; 0 without any."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
