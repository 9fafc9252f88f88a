"""A picture of one trace, made of what a receiver got: an order of the example `fulfilment`, from four processes.

    python -m examples.running.picture docs/trace.svg

Rules: everything is real: `amends serve`, the three services as processes, an OTLP receiver in this one. The picture
has a bar for each span, below each other as they hang, on one line of time.
Does not do: show more than one trace.
"""

import argparse
import asyncio
import http.client
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from examples.running.example import example_named
from examples.running.fleet import Fleet
from examples.running.tracing import ADDRESS

PATIENCE: Final = 30.0
SPANS: Final = 8
"""Of one order: the request, the saga, three attempts, and three services."""
ROW, LEFT, WIDTH, RIGHT, TOP = 26, 230, 620, 150, 46
COLOURS: Final = ("#4c72b0", "#dd8452", "#55a868", "#8172b3", "#937860")
STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.l{fill:#6e7781;font-size:11px}"
    ".g{stroke:#d0d7de;stroke-width:1}.h{stroke:#8c959f;fill:none}"
)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A span as it is drawn; instants in nanoseconds."""

    service: str
    name: str
    id: bytes
    parent: bytes
    began: int
    ended: int


class Received:
    """What came in, by trace."""

    def __init__(self) -> None:
        self.bars: dict[bytes, list[Bar]] = {}
        self.came = threading.Event()

    def take(self, body: bytes) -> None:
        """Read one request's spans."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for span in (each for scope in resource.scope_spans for each in scope.spans):
                bar = Bar(
                    service=names["service.name"],
                    name=span.name,
                    id=span.span_id,
                    parent=span.parent_span_id,
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                )
                self.bars.setdefault(span.trace_id, []).append(bar)
        self.came.set()

    def until(self, number: int) -> list[Bar]:
        """Wait for a trace of so many spans."""
        while True:
            for bars in self.bars.values():
                if len(bars) >= number:
                    return bars
            self.came.clear()
            if not self.came.wait(PATIENCE):
                raise TimeoutError(f"no trace of {number} spans came within {PATIENCE} s")


def receiver(received: Received) -> ThreadingHTTPServer:
    """Listen for OTLP on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Say nothing."""

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


async def traced(directory: Path, received: Received) -> list[Bar]:
    """Run one order through the service and its participants; the spans of its trace."""
    example = example_named("fulfilment")
    async with Fleet(directory=directory, services=example.services, seed=example.seed) as fleet:
        config = directory / "application.yaml"
        lines = [f"  {name}: {fleet.commands(name)}" for name in example.services]
        config.write_text("\n".join(["microservices:", *lines, ""]), "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "amends.delivery.cli.main", "serve", "--config", str(config)),
            *(
                "--store",
                str(directory / "sagas.db"),
                "--port",
                "0",
                "examples.fulfilment.saga:ORDER_FULFILMENT",
            ),
            env={**os.environ, "OTEL_SERVICE_NAME": "orchestrator"},
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            port = await _port(process)
            # The first warms everything up; the second is drawn.
            await _order_seen(port, "order-1", received)
            received.bars.clear()
            return await _order_seen(port, "order-2", received)
        finally:
            process.terminate()
            await process.wait()


async def _order_seen(port: int, order_id: str, received: Received) -> list[Bar]:
    await asyncio.to_thread(_order, port, order_id)
    return await asyncio.to_thread(received.until, SPANS)


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if "serving" in line:
            return int(line.partition("127.0.0.1:")[2].partition(",")[0])
    raise RuntimeError("the service did not start")


def _order(port: int, order_id: str) -> None:
    item = {"sku": "kettle", "quantity": 1}
    data = {"order_id": order_id, "account": "ada", "items": [item], "amount": "39.90", "country": "DE"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    body = json.dumps({"saga": "order-fulfilment", "id": order_id, "data": data})
    connection.request("POST", "/v1/sagas?wait=20", body, {"Content-Type": "application/json"})
    answer = connection.getresponse().read()
    if json.loads(answer)["status"] != "completed":
        raise RuntimeError(f"the order came to {answer.decode()}")


def in_order(bars: Sequence[Bar], above: bytes = b"", depth: int = 0) -> Iterator[tuple[int, Bar]]:
    """Each span behind the one that it hangs below, with its depth."""
    for bar in sorted((each for each in bars if each.parent == above), key=lambda each: each.began):
        yield depth, bar
        yield from in_order(bars, bar.id, depth + 1)


def drawn(bars: Sequence[Bar]) -> str:
    """The picture, as SVG."""
    began, ended = min(bar.began for bar in bars), max(bar.ended for bar in bars)
    scale = WIDTH / (ended - began)
    services = list(dict.fromkeys(bar.service for _depth, bar in in_order(bars)))
    height = TOP + ROW * len(bars) + 12
    told = "One trace: " + ", ".join(services)
    box = f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-label="{escape(told)}">',
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for part in range(5):
        x, text = LEFT + WIDTH * part / 4, f"{(ended - began) * part / 4e6:.1f} ms"
        lines.append(f'<path class="g" d="M{x:.1f} {TOP - 8}V{height - 8}"/>')
        lines.append(f'<text class="l" x="{x:.1f}" y="{TOP - 16}" text-anchor="middle">{text}</text>')
    for row, (depth, bar) in enumerate(in_order(bars)):
        y, x, colour = TOP + ROW * row, 14 + 18 * depth, COLOURS[services.index(bar.service) % len(COLOURS)]
        at, wide = LEFT + (bar.began - began) * scale, max((bar.ended - bar.began) * scale, 2)
        lines.append(f'<text x="{x}" y="{y + 15}">{escape(bar.name)}</text>')
        lines.append(
            f'<rect x="{at:.1f}" y="{y + 3}" width="{wide:.1f}" height="16" rx="3" fill="{colour}"/>'
        )
        took = f"{(bar.ended - bar.began) / 1e6:.1f} ms"
        lines.append(
            f'<text class="l" x="{at + wide + 5:.1f}" y="{y + 15}">{escape(bar.service)}, {took}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw one trace into a file."""
    parser = argparse.ArgumentParser(prog="picture", description=__doc__)
    parser.add_argument("file", type=Path, help="the SVG to write")
    file: Path = parser.parse_args(arguments).file
    received = Received()
    server = receiver(received)
    os.environ[ADDRESS] = f"http://127.0.0.1:{server.server_address[1]}"
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "100"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory(prefix="amends-picture-") as directory:
        bars = asyncio.run(traced(Path(directory), received))
    server.shutdown()
    server.server_close()
    file.write_text(drawn(bars), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
