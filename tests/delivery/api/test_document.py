"""The OpenAPI document: equal to the routes, and true, case by case, of a process with real participants."""

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from amends.delivery.api.openapi import document
from amends.delivery.api.routes import Route, table
from examples.order.demo import EXAMPLE
from examples.running.fleet import Fleet
from tests.delivery.api import serving as s

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
CASES_EACH = 175
"""For each operation, and for good and for bad input; where there is nothing to vary the tool makes fewer."""
LEAST_CASES = 5_000
LONGEST = 600.0
ENDLESS = ("/v1/feed", "/v1/sagas/{id}/feed")
"""Answers that do not end; `test_routes.py` reads them."""
DOCUMENT = "/openapi.json"
"""Where the document comes from; the tool leaves that out by itself."""


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """The example's services, run by a loop in a thread of its own, because the cases here are no coroutines."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    services = Fleet(directory=folder / "fleet", services=EXAMPLE.services, seed=EXAMPLE.seed)
    try:
        asyncio.run_coroutine_threadsafe(services.start(), loop).result(60)
        yield services
    finally:
        asyncio.run_coroutine_threadsafe(services.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s.Serving]:
    folder = tmp_path_factory.mktemp("shop")
    with fleet(folder) as services:
        path = folder / "application.yaml"
        bound = [f"  {name}: {services.commands(name)}" for name in EXAMPLE.services]
        path.write_text("\n".join(["microservices:", *bound, "server:", "  max-wait: 1s", ""]))
        with s.serving(folder, config=path, sagas=["examples.order.saga:ORDER"]) as running:
            yield running


def order(order_id: str) -> dict[str, Any]:
    payments = [{"method": "card", "account": "card-ada", "amount": "19.90"}]
    lines = [{"sku": "sku-1", "quantity": 1, "price": "19.90"}]
    fields = {"order_id": order_id, "customer": "ada", "coupon": None, "coupon_policy": "continue"}
    return {"order": {**fields, "lines": lines, "payments": payments, "total": "19.90"}}


@dataclass
class Run:
    """What the cases of all operations have in common."""

    service: s.Serving
    ids: list[str]
    session: requests.Session = field(default_factory=requests.Session)
    statuses: Counter[int] = field(default_factory=Counter)

    def try_out(self, case: Any, drawn: Mapping[str, Any]) -> None:
        """Send one case, with now and then something in it that is really there."""
        if drawn["known"] and "id" in case.path_parameters:
            case.path_parameters["id"] = drawn["id"]
        if drawn["known"] and "name" in case.path_parameters:
            case.path_parameters["name"] = "order"
        if drawn["known"] and "version" in case.path_parameters:
            case.path_parameters["version"] = "1"
        if drawn["known"] and case.operation.path == "/v1/sagas" and case.method == "POST":
            case.query = {}
            case.body = {"saga": "order", "data": order(f"o-{uuid.uuid4().hex[:8]}")}
        response = case.call(session=self.session, timeout=30)
        self.statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    def cases_of(self, operation: Any, mode: GenerationMode, number: int) -> None:
        drawn = st.fixed_dictionaries({"known": st.booleans(), "id": st.sampled_from(self.ids)})

        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )
        @given(case=operation.as_strategy(generation_mode=mode), drawn=drawn)
        def cases(case: Any, drawn: Mapping[str, Any]) -> None:
            self.try_out(case, drawn)

        cases()


def started(service: s.Serving) -> list[str]:
    """Instances in all conditions that come by themselves: completed, compensated, still on their way."""
    ids = [f"o-{number}" for number in range(6)]
    for number, saga_id in enumerate(ids):
        data = order(saga_id)
        if number % 2:
            data["order"]["payments"][0]["account"] = "no-such-account"
        found = service.ask("POST", "/v1/sagas?wait=1", {"saga": "order", "id": saga_id, "data": data})
        assert found.status == 201, found.body
    return ids


def test_thousands_of_requests_get_what_the_document_says(shop: s.Serving) -> None:
    begun = time.monotonic()
    run = Run(shop, started(shop))
    schema = schemathesis.openapi.from_url(f"{shop.url}{DOCUMENT}")
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = [operation for operation in found if operation.path not in ENDLESS]
    missing = {route.path for route in table(longest_wait=1)} - {operation.path for operation in operations}
    assert missing == {*ENDLESS, DOCUMENT}
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    for operation in operations:
        for mode in modes:
            if mode is GenerationMode.POSITIVE or _has_input(operation):
                run.cases_of(operation, mode, CASES_EACH)
                assert time.monotonic() - begun < LONGEST, run.statuses
    print(f"{run.statuses.total():,} cases, by status: {dict(sorted(run.statuses.items()))}")
    assert run.statuses.total() >= LEAST_CASES
    assert {200, 201, 404, 409, 422} <= set(run.statuses), run.statuses
    assert shop.process.poll() is None
    assert "Traceback" not in shop.log.read_text()


def _has_input(operation: Any) -> bool:
    """Tell whether there is something that can be got wrong: any text will do for a part of a path."""
    return bool(operation.body or operation.query)


# --- routes and document ---------------------------------------------------------------------------------------


def test_the_document_has_every_route_and_no_more() -> None:
    routes = table(longest_wait=60)
    found = document(routes, has_keys=False)
    described = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in routes}
    names = [
        operation["operationId"] for methods in found["paths"].values() for operation in methods.values()
    ]
    assert len(set(names)) == len(routes)


@pytest.mark.parametrize("route", table(longest_wait=60), ids=lambda route: f"{route.method} {route.path}")
def test_a_route_answers_at_its_own_path(service: s.Serving, route: Route) -> None:
    """Whatever the answer is, it is not that there is no such path or method, and it is in the document."""
    path = route.path.replace("{id}", "none-such").replace("{name}", "errand").replace("{version}", "1")
    if path in ENDLESS:
        with service.connected() as connection:
            connection.sendall(f"{route.method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 200 OK\r\n" in s.read_until(connection, b"\r\n\r\n")
        return
    found = service.ask(route.method, path, {} if route.body else None)
    assert found.status in {200, 404, 422}
    if found.status >= 400:
        assert found.headers["content-type"] == "application/problem+json"
        assert found.json["title"] != "There is no such path"
