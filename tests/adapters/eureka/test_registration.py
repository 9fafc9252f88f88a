"""This service in a real Eureka server: it comes, stays, tells how it stands, and goes."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from amends.adapters.eureka import EurekaDiscovery, Instance
from tests.adapters.eureka.line import joined
from tests.adapters.eureka.shared_registry import has_status, instance, new_name, registry, unregister
from tests.adapters.eureka.waiting import soon, until

SECOND = timedelta(seconds=1)


@asynccontextmanager
async def discovery(url: str, app: str, *, port: int = 8095) -> AsyncGenerator[EurekaDiscovery]:
    made = EurekaDiscovery([url], instance=Instance(app, "127.0.0.1", port), renewal=SECOND, fetch=SECOND)
    async with made:
        yield made


async def test_nothing_is_registered_before_the_service_is_ready() -> None:
    url, app = registry().url, new_name()
    async with discovery(url, app) as ours:
        other = new_name()
        async with discovery(url, other) as theirs:
            theirs.announce("up")
            await until(has_status(url, other, f"127.0.0.1:{other}:8095", "UP"), "the other one")
        assert instance(url, app, f"127.0.0.1:{app}:8095") is None
        assert ours.trouble == ""


async def test_it_comes_tells_how_it_stands_and_goes() -> None:
    url, app = registry().url, new_name()
    identity = f"127.0.0.1:{app}:8095"
    async with discovery(url, app) as ours:
        ours.announce("up")
        await until(has_status(url, app, identity, "UP"), "up")
        found = instance(url, app, identity)
        assert found is not None
        assert (found["app"], found["hostName"], found["ipAddr"]) == (app.upper(), "127.0.0.1", "127.0.0.1")
        assert found["port"] == {"$": 8095, "@enabled": "true"}
        assert found["leaseInfo"]["renewalIntervalInSecs"] == 1
        assert found["leaseInfo"]["durationInSecs"] == 3
        assert found["healthCheckUrl"] == "http://127.0.0.1:8095/health"
        ours.announce("down")
        await until(has_status(url, app, identity, "DOWN"), "down")
        ours.announce("up")
        await until(has_status(url, app, identity, "UP"), "up again")
    assert instance(url, app, identity) is None


async def test_signs_of_life_keep_it_beyond_its_lease() -> None:
    url, app = registry().url, new_name()
    identity = f"127.0.0.1:{app}:8095"

    def is_old_and_there() -> bool:
        found = instance(url, app, identity)
        assert found is not None, "its lease ended"
        lease = found["leaseInfo"]
        # What it calls the last renewal is that and the duration, after which it waits for the duration once more.
        age: int = lease["lastRenewalTimestamp"] - lease["registrationTimestamp"]
        return age > 3 * 1000 * int(lease["durationInSecs"])

    async with discovery(url, app) as ours:
        ours.announce("up")
        await until(has_status(url, app, identity, "UP"), "up")
        await until(is_old_and_there, "its lease to be over twice")


async def test_who_is_forgotten_registers_again() -> None:
    url, app = registry().url, new_name()
    identity = f"127.0.0.1:{app}:8095"
    async with discovery(url, app) as ours:
        ours.announce("up")
        await until(has_status(url, app, identity, "UP"), "up")
        unregister(url, app, identity)
        assert instance(url, app, identity) is None
        await until(has_status(url, app, identity, "UP"), "up again")


async def test_after_a_restart_it_is_the_same_instance() -> None:
    url, app = registry().url, new_name()
    identity = f"127.0.0.1:{app}:8095"
    killed = EurekaDiscovery([url], instance=Instance(app, "127.0.0.1", 8095), renewal=SECOND)
    await killed.start()
    killed.announce("down")
    await until(has_status(url, app, identity, "DOWN"), "as a process left it that was killed going down")
    async with discovery(url, app) as ours:
        ours.announce("up")
        await until(has_status(url, app, identity, "UP"), "up")
    await killed.stop()


async def test_an_outage_is_two_lines_and_it_is_back_after_it(caplog: pytest.LogCaptureFixture) -> None:
    app = new_name()
    identity = f"127.0.0.1:{app}:8095"
    caplog.set_level(logging.WARNING)
    async with joined(registry().url) as line, discovery(line.url, app) as ours:
        ours.instances("nobody-at-all")
        ours.announce("up")
        await until(has_status(registry().url, app, identity, "UP"), "up")
        await line.cut()
        await soon(lambda: ours.trouble, "trouble")
        # Told while it is away, and heard when it is back.
        ours.announce("down")
        before = line.connections
        await line.join()
        await soon(lambda: not ours.trouble, "the end of it")
        assert line.connections > before
        await until(has_status(registry().url, app, identity, "DOWN"), "down")
    told = [record.getMessage() for record in caplog.records if record.name == "amends.discovery"]
    assert len(told) == 2, told
    assert told[0].startswith("Eureka does not answer, what is known goes on being used: http://127.0.0.1:")
    assert told[1] == "Eureka answers again"


async def test_it_ends_although_eureka_is_away(caplog: pytest.LogCaptureFixture) -> None:
    app = new_name()
    async with joined(registry().url) as line:
        async with discovery(line.url, app) as ours:
            ours.announce("up")
            await until(has_status(registry().url, app, f"127.0.0.1:{app}:8095", "UP"), "up")
            await line.cut()
        assert "its lease will end" in caplog.text
    unregister(registry().url, app, f"127.0.0.1:{app}:8095")


async def test_another_server_of_the_zone_is_asked_when_one_is_away() -> None:
    app = new_name()
    made = EurekaDiscovery(
        ["http://127.0.0.1:1/eureka/", registry().url],
        instance=Instance(app, "127.0.0.1", 8095, id="one"),
        renewal=SECOND,
    )
    async with made:
        made.announce("up")
        await until(has_status(registry().url, app, "one", "UP"), "up")
        assert made.trouble == ""


async def test_the_password_of_an_address_is_in_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with EurekaDiscovery(["http://ann:hunter2@127.0.0.1:1/eureka"]) as made:
        made.instances("shop")
        await soon(lambda: made.trouble, "trouble")
        assert "hunter2" not in made.trouble
    assert "127.0.0.1:1" in caplog.text
    assert "hunter2" not in caplog.text
