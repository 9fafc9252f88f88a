"""What happens to one saga, from a position on, as it happens.

Rules: the feed is taken up first and the past is read then, so nothing falls between; what both tell is told once. It
ends with the saga.
It does not: print.
"""

from collections.abc import Generator, Mapping
from contextlib import closing
from typing import Any, Final

from amends.delivery.client.desk import Desk

ENDS: Final[Mapping[str, str]] = {
    "SagaCompleted": "completed",
    "SagaCompensated": "compensated",
    "SagaAbandoned": "abandoned",
}
"""The events with which a saga ends, and its status then."""


def followed(desk: Desk, saga_id: str, *, after: int = 0) -> "Generator[list[dict[str, Any]], None, None]":
    """Yield the events of a saga behind position `after` up to its end, those of a transition together."""
    with closing(desk.follow(saga_id)) as coming:
        past = list(desk.events(saga_id))
        known = past[-1]["position"] if past else 0
        if news := [event for event in past if event["position"] > after]:
            yield news
        if past and past[-1]["type"] in ENDS:
            return
        for item in coming:
            events = _events(item)
            if events and events[0]["position"] > known + 1:
                # The feed came back behind a gap: the stream has it all.
                events = list(desk.events(saga_id, after=known))
            news = [event for event in events if event["position"] > max(known, after)]
            known = max(known, item["position"])
            if news:
                yield news
            if events and events[-1]["type"] in ENDS:
                return


def _events(item: Mapping[str, Any]) -> "list[dict[str, Any]]":
    return [
        {"position": event["position"], "type": event["type"], "time": item["time"], **event}
        for event in item["events"]
    ]
