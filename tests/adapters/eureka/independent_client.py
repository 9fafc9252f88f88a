"""Somebody else's Eureka client, as a process: prints who is up, or registers a service and waits.

    python -m tests.adapters.eureka.independent_client find URL SERVICE PATH     calls PATH there, prints the answer
    python -m tests.adapters.eureka.independent_client be URL SERVICE PORT       until its standard input ends

Why a process: its thread for signs of life ends with the process only.
"""

import asyncio
import sys

from py_eureka_client.eureka_client import EurekaClient  # type: ignore[import-untyped]  # it has no types


async def find(url: str, service: str, path: str) -> None:
    client = EurekaClient(eureka_server=url, should_register=False)
    await client.start()
    print(await client.do_service(service, path))


async def be(url: str, service: str, port: str) -> None:
    client = EurekaClient(
        eureka_server=url, app_name=service, instance_host="127.0.0.1", instance_port=int(port)
    )
    await client.start()
    print("registered", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run({"find": find, "be": be}[sys.argv[1]](*sys.argv[2:]))
