"""What the HTTP transport costs beside a bare aiohttp session that makes the same calls.

    python -m bench.http_transport [--rounds 7] [--calls 4000] [--concurrency 50] [--profile]

Rules: one run, one server process on loopback, the two alternate, and the median of each is compared: the ratio counts,
the figures only explain it. The bare session posts the same bytes with the same headers and reads the reply's body.
It does not: measure the engine, or a participant's work.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
from aiohttp import web

from amends.adapters.http import HttpTransport
from amends.adapters.local import LocalTransport
from amends.core.effect import SendCommand
from amends.core.outcome import Succeeded
from amends.testing.transport_suite import command

REPLY = b'{"reservation_id":"0b7c1d9e-64f2","place":"A-17","count":3}'
SENT = command("reserve-stock", b'{"order_id":"order-1","sku":"A1","count":3,"price":"19.90"}')


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    await request.read()
    return web.Response(body=REPLY, content_type="application/json")


async def serve() -> None:
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    # The parent closes our standard input when it has had enough.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def bare_headers(sent: SendCommand) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": sent.command_id,
        "Amends-Saga-Id": sent.saga_id,
        "Amends-Namespace": sent.namespace,
        "Amends-Step": sent.step,
        "Amends-Direction": sent.direction,
        "Amends-Round": str(sent.round),
        "Amends-Attempt": str(sent.attempt),
    }


async def seconds(call: Callable[[], Awaitable[object]], *, calls: int, concurrency: int) -> float:
    async def client(numbers: Iterator[int]) -> None:
        for _ in numbers:
            await call()

    shared = iter(range(calls))
    began = time.perf_counter()
    await asyncio.gather(*(client(shared) for _ in range(concurrency)))
    return time.perf_counter() - began


async def compare(url: str, *, rounds: int, calls: int, concurrency: int) -> None:
    timeout = aiohttp.ClientTimeout(total=30)
    transport = HttpTransport(url)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:

        async def bare() -> None:
            async with session.post(
                f"{url}/reserve-stock", data=SENT.payload, headers=bare_headers(SENT), timeout=timeout
            ) as response:
                assert await response.read() == REPLY

        async def amends() -> None:
            assert await transport.send(SENT) == Succeeded(REPLY)

        rates: dict[str, list[float]] = {"bare": [], "amends": []}
        work: dict[str, list[float]] = {"bare": [], "amends": []}
        for number in range(rounds + 1):
            for name, call in (("bare", bare), ("amends", amends)):
                began = time.process_time()
                rate = calls / await seconds(call, calls=calls, concurrency=concurrency)
                if number > 0:  # the first round warms up
                    rates[name].append(rate)
                    work[name].append((time.process_time() - began) / calls * 1e6)
    await transport.close()
    ratios = [mine / theirs for mine, theirs in zip(rates["amends"], rates["bare"], strict=True)]
    for name, found in rates.items():
        spread = f"({min(found):.0f} to {max(found):.0f})"
        cpu = statistics.median(work[name])
        print(f"{name:8} {statistics.median(found):8.0f} requests/s   {spread}   {cpu:.0f} µs of CPU each")
    print(
        f"ratio    {statistics.median(ratios):8.2f}   ({min(ratios):.2f} to {max(ratios):.2f}), target 0.6, aim 0.85"
    )


async def profile(url: str, *, calls: int, concurrency: int) -> None:
    transport = HttpTransport(url)
    with cProfile.Profile() as found:
        await seconds(lambda: transport.send(SENT), calls=calls, concurrency=concurrency)
    await transport.close()
    pstats.Stats(found).sort_stats("tottime").print_stats(25)


async def local(calls: int) -> None:
    """Measure a call of a local handler, payload decoded and reply encoded, less calling the same function directly."""

    async def reserve(payload: dict[str, str]) -> dict[str, str]:
        return payload

    transport = LocalTransport({"reserve-stock": reserve})
    plain: dict[str, str] = {}

    async def best(call: Callable[[], Awaitable[object]]) -> float:
        return min([await seconds(call, calls=calls, concurrency=1) for _ in range(7)]) / calls

    direct, sent = await best(lambda: reserve(plain)), await best(lambda: transport.send(SENT_LOCAL))
    print(
        f"local    {(sent - direct) * 1e6:8.2f} µs over a direct call, decoding and encoding included, limit 2"
    )


SENT_LOCAL = command("reserve-stock", b'{"order_id":"order-1","sku":"A1","place":"A-17"}')


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        if options.profile:
            asyncio.run(profile(url, calls=options.calls, concurrency=options.concurrency))
        else:
            calls, concurrency = options.calls, options.concurrency
            asyncio.run(compare(url, rounds=options.rounds, calls=calls, concurrency=concurrency))
            asyncio.run(local(100_000))


if __name__ == "__main__":
    main()
