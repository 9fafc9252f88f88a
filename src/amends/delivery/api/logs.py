r"""What the service writes about itself: one line an event, as text or as JSON, to standard error.

Rules: a line is one line, whatever is in it: line ends and everything that does not print are escaped, so that nobody
forges a line or moves a cursor. What a record knows of an instance or a request stands in fields of its own
(``extra={"saga": …, "request": …}``).
It does not: rotate, send, or choose what is worth a line.
"""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

FIELDS = ("saga", "request", "trace")


class TextLines(logging.Formatter):
    """``2026-11-21T09:30:00.123Z WARNING amends.engine: message [saga=… request=…]``; a trace below, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a trace's lines behind it."""
        fields = " ".join(f"{name}={escaped(str(value))}" for name, value in _known(record).items())
        line = f"{_instant(record)} {record.levelname} {record.name}: {escaped(record.getMessage())}"
        line += f" [{fields}]" if fields else ""
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line = "\n".join([line, *(f"    {escaped(each)}" for each in trace)])
        return line


class JsonLines(logging.Formatter):
    """One JSON object a line; what an exception says is a text in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": escaped(record.getMessage()),
            **{name: escaped(str(value)) for name, value in _known(record).items()},
        }
        if record.exc_info:
            line["exception"] = "\n".join(map(escaped, self.formatException(record.exc_info).splitlines()))
        return msgspec.json.encode(line).decode()


def configure(level: str, form: Literal["text", "json"]) -> None:
    """Write records of `level` and above to standard error, from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # What a client did wrong is said once, by the door itself.
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, root.level))


def carry_traces(find: Callable[[str], str]) -> None:
    """Have lines about an instance carry its trace id as well, as far as `find` knows one by the saga id."""

    def carry(record: logging.LogRecord) -> bool:
        saga = getattr(record, "saga", "")
        if saga and not getattr(record, "trace", ""):
            record.trace = find(saga)
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(carry)


def escaped(text: str) -> str:
    """Return `text` with everything escaped that does not print."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode("ascii")
        for each in text
    )


def _known(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in FIELDS if (value := getattr(record, name, "")) not in {"", None}}


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
