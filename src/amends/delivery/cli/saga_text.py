"""One saga as lines of text: its head, its timeline, its events.

Rules: takes the documents that a desk gives; everything in them is made safe.
It does not: print, or ask.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from amends.delivery.cli.output import Colour, colour_of, compact, painted, shown, table
from amends.delivery.cli.timeline import Entry, Event, timeline
from amends.delivery.client.exact_json import Document

LONGEST: Final = 160
"""Characters of an event's fields; ``--json`` has all."""


def line(saga: Document) -> str:
    """Return one line about an instance."""
    return "  ".join(painted(text, colour) for text, colour in _line(saga))


def _line(saga: Document) -> list[tuple[str, Colour]]:
    words: list[tuple[str, Colour]] = [
        (shown(saga["id"]), ""),
        (shown(f"{saga['saga']} version {saga['version']}"), ""),
        (shown(saga["status"]), colour_of(saga["status"])),
    ]
    if saga["business_status"]:
        words.append((shown(saga["business_status"]), ""))
    if saga["paused"]:
        words.append(("paused", "yellow"))
    return words


def page(saga: Document, events: Sequence[Event], *, plain: bool = False) -> list[str]:
    """Return everything about an instance; `plain` is without colours."""
    head = [_line(saga), *([line] for line in _head(saga, events))]
    lines = ["  ".join(text if plain else painted(text, colour) for text, colour in each) for each in head]
    return [*lines, "", *timeline_lines(events, plain=plain)]


def _head(saga: Document, events: Sequence[Event]) -> list[tuple[str, Colour]]:
    lines: list[tuple[str, Colour]] = []
    if cause := saga["cause"]:
        because = ": ".join(text for text in (cause.get("code"), cause.get("reason")) if text)
        lines.append((shown(f"turned round by {cause.get('step') or 'the saga'}: {because}"), ""))
    if saga["stuck"]:
        names = shown(", ".join(saga["stuck"]))
        lines.append((f"stuck: {names}; a person may retry, resolve, skip or abandon", "red"))
    doubts = [word for word in ("unconfirmed", "contradicted") if saga[word]]
    lines.extend((shown(f"{word}: {', '.join(saga[word])}"), "yellow") for word in doubts)
    lines.append((f"position {saga['position']}{_times(events)}", ""))
    lines.append((f"data {compact(saga['data'])}", ""))
    return lines


def _times(events: Sequence[Event]) -> str:
    if not events:
        return ""
    first, last = (datetime.fromisoformat(events[place]["time"]) for place in (0, -1))
    return f", started {shown(events[0]['time'])}, last moved {_seconds(last - first)} later"


def timeline_lines(events: Iterable[Event], *, plain: bool = False) -> list[str]:
    """Return the timeline as a table."""
    entries = timeline(events)
    if not entries:
        return []
    start = entries[0].began
    return table(
        ("when", "what", "at", "attempts", "took", "outcome", ""),
        [_row(entry, start) for entry in entries],
        [entry.colour for entry in entries],
        plain=plain,
    )


def _row(entry: Entry, start: datetime) -> tuple[str, ...]:
    attempts = "" if entry.attempts is None else str(entry.attempts)
    took = "" if entry.took is None else _seconds(entry.took)
    when = f"+{_seconds(entry.began - start)}"
    return when, entry.what, entry.at, attempts, took, entry.outcome, entry.detail


def _seconds(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds:.3f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))  # noqa: PLR2004  a minute


def event_rows(events: Iterable[Event]) -> list[tuple[str, str, str, str]]:
    """Return position, time, type and the rest of each event."""
    return [(str(each["position"]), each["time"], each["type"], _rest(each)) for each in events]


def event_line(event: Event) -> str:
    """Return the same as one line."""
    return "  ".join(shown(cell) for cell in event_rows([event])[0]).rstrip()


def _rest(event: Event) -> str:
    """The shape of a definition is left out: it is long, and the same for every instance."""
    told = {name: value for name, value in event.items() if name not in {"position", "time", "type", "shape"}}
    text = "  ".join(f"{name}={_plain(value)}" for name, value in told.items())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)
