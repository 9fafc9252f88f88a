from datetime import UTC, datetime, timedelta

import pytest

from amends.adapters.http import HttpTransport
from amends.adapters.http.retry_after import LONGEST, retry_after
from amends.core.outcome import Failed
from amends.testing.transport_suite import command
from tests.adapters.http.raw_server import always, answer_bytes, serving


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", timedelta(0)),
        ("120", timedelta(seconds=120)),
        (" 120 ", timedelta(seconds=120)),
        ("Fri, 20 Nov 2026 12:01:30 GMT", timedelta(seconds=90)),
        ("Friday, 20-Nov-26 12:01:30 GMT", timedelta(seconds=90)),
        ("Fri Nov 20 12:01:30 2026", timedelta(seconds=90)),
        ("Fri, 20 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Fri, 20 Nov 2099 11:00:00 GMT", LONGEST),
        ("86401", LONGEST),
        ("9" * 5_000, LONGEST),
    ],
)
def test_both_forms_are_understood(header: str, wait: timedelta) -> None:
    assert retry_after(header, Noon()) == wait


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "-1",
        "1.5",
        "soon",
        "+5",
        "1_0",
        "٣",
        "Fri, 99 Nov 2026 12:00:00 GMT",
        "Fri, 20 Nov 99999999 1:0:0 GMT",
    ],
)
def test_what_cannot_be_read_was_not_said(header: str | None) -> None:
    assert retry_after(header, Noon()) is None


async def test_the_transport_compares_a_date_with_its_own_clock() -> None:
    data = answer_bytes(429, b"", "Retry-After: Fri, 20 Nov 2026 12:00:05 GMT")
    async with serving(always(data)) as server:
        transport = HttpTransport(server.url, clock=Noon())
        found = await transport.send(command())
        await transport.close()
    assert isinstance(found, Failed)
    assert found.fault == "transient"
    assert found.retry_after == timedelta(seconds=5)


async def test_a_configuration_fault_does_not_honour_it() -> None:
    async with serving(always(answer_bytes(401, b"", "Retry-After: 5"))) as server:
        transport = HttpTransport(server.url)
        found = await transport.send(command())
        await transport.close()
    assert isinstance(found, Failed)
    assert found.retry_after is None
