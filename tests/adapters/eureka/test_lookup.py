"""Look-up in a real Eureka server: who is up, who is no more, and what holds while it is away."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from amends.adapters.eureka import EurekaDiscovery, Instance
from amends.adapters.eureka.lookup import Lookup
from amends.adapters.eureka.outage import Outage
from amends.adapters.eureka.servers import Servers
from tests.adapters.eureka.line import joined
from tests.adapters.eureka.shared_registry import (
    has_status,
    new_name,
    override,
    register,
    registry,
    unregister,
)
from tests.adapters.eureka.waiting import soon, until
from tests.adapters.http.raw_server import always, answer_bytes, serving

SECOND = timedelta(seconds=1)
CLIENT = [sys.executable, "-m", "tests.adapters.eureka.independent_client"]


@asynccontextmanager
async def looking(url: str, service: str) -> AsyncGenerator[EurekaDiscovery]:
    made = EurekaDiscovery([url], fetch=SECOND)
    made.instances(service)
    async with made:
        yield made


async def test_those_that_are_up_are_found_and_those_that_go_are_not_any_more() -> None:
    url, service = registry().url, new_name()
    one = register(url, service, 8101)
    other = register(url, service, 8102, status="STARTING")
    async with looking(url, service) as found:
        known = found.instances(service)
        await soon(lambda: known.urls == ("http://127.0.0.1:8101",), "the one that is up")
        register(url, service, 8102)
        await soon(lambda: len(known.urls) == 2, "both")
        override(url, service, other, "OUT_OF_SERVICE")
        await soon(lambda: known.urls == ("http://127.0.0.1:8101",), "the one that is left")
        before = known.urls
        register(url, service, 8101, status="DOWN")
        await soon(lambda: known.urls == (), "nobody: Eureka says so")
        assert before == ("http://127.0.0.1:8101",)
        unregister(url, service, one)


async def test_what_was_known_is_used_while_eureka_is_away_and_the_same_object_says_so() -> None:
    service = new_name()
    register(registry().url, service, 8101)
    async with joined(registry().url) as line, looking(line.url, service) as found:
        known = found.instances(service.upper())
        await soon(lambda: known.urls, "somebody")
        before = known.urls
        await line.cut()
        await soon(lambda: found.trouble, "trouble")
        assert known.urls is before
        register(registry().url, service, 8102)
        await line.join()
        await soon(lambda: len(known.urls) == 2, "news")
        assert found.trouble == ""


async def test_who_is_not_known_is_looked_for_until_it_is_there() -> None:
    url, service = registry().url, new_name()
    async with looking(url, service) as found:
        known = found.instances(service)
        assert known.urls == ()
        assert known.next_look <= SECOND
        register(url, service, 8103)
        await soon(lambda: known.urls, "somebody")


async def test_a_registry_that_began_anew_is_not_believed_at_once() -> None:
    url, service = registry().url, new_name()
    identity = register(url, service, 8104)
    servers = Servers([url])
    lookup, doubtless = (Lookup(servers, Outage(), interval=1, doubt=doubt) for doubt in (60.0, 0.0))
    known, known_to_other = lookup.instances(service), doubtless.instances(service)

    async def both_look() -> None:
        await lookup.look()
        await doubtless.look()

    while not (known.urls and known_to_other.urls):
        await both_look()
    unregister(url, service, identity)
    while known_to_other.urls:
        await both_look()
    # Both have heard that nobody knows it.
    await both_look()
    assert known_to_other.urls == ()
    assert known.urls == ("http://127.0.0.1:8104",)
    await servers.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answer_bytes(503), "HTTP 503"),
        (answer_bytes(401), "HTTP 401"),
        (answer_bytes(302, b"", "Location: http://127.0.0.1:1/"), "HTTP 302"),
        (answer_bytes(200, b"<html>hello</html>"), "JSON"),
        (answer_bytes(200, b"x" * (5 << 20)), "longer than"),
        (b"SMTP ready\r\n\r\n", "127.0.0.1"),
        (b"", "127.0.0.1"),
    ],
    ids=["503", "401", "redirect", "html", "long", "no-http", "silent"],
)
async def test_what_is_no_eureka_is_as_good_as_away(
    answer: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(always(answer)) as server:
        servers = Servers([f"{server.url}/eureka"], within=0.2)
        lookup = Lookup(servers, Outage(), interval=1)
        known = lookup.instances("shop")
        assert not await lookup.look()
        assert known.urls == ()
        assert said in caplog.text
        assert len(caplog.text) < 1000
        await servers.close()


async def test_another_ones_client_finds_this_service_and_this_one_finds_its() -> None:
    url, ours, theirs = registry().url, new_name(), new_name()
    answers = always(answer_bytes(200, b'{"status":"up"}', "Connection: close"))
    async with serving(answers) as server:
        port = int(server.url.rpartition(":")[2])
        made = EurekaDiscovery([url], instance=Instance(ours, "127.0.0.1", port), fetch=SECOND)
        known = made.instances(theirs)
        async with made:
            made.announce("up")
            await until(has_status(url, ours, f"127.0.0.1:{ours}:{port}", "UP"), "up")
            await until(lambda: _found(url, ours) == '{"status":"up"}', "it is called by its name")
            client = await asyncio.create_subprocess_exec(
                *CLIENT, "be", url, theirs, "8105", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            await soon(lambda: known.urls == ("http://127.0.0.1:8105",), "who another client registered")
            # Its standard input ends, and so does it.
            await client.communicate(b"")


def _found(url: str, service: str) -> str:
    done = subprocess.run(
        [*CLIENT, "find", url, service, "/health"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
