"""The order saga through `amends serve` and its four real services, steered and watched from the command line."""

import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from examples.order.cases import ORDERS
from tests.delivery.cli.asking import at_url
from tests.delivery.cli.conftest import Orders

CASES: dict[str, Mapping[str, Any]] = {
    case["about"]: case for case in map(json.loads, ORDERS.read_text().splitlines())
}


def post(url: str, body: object) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310  our own http URL
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  our own http URL
        assert answer.status < 300


def placed(orders: Orders, case: Mapping[str, Any]) -> str:
    """Place an order, misbehaviour included; return its saga's data."""
    order = case["given"]
    post(f"{orders.fleet.url('order')}/orders", order)
    for fault in case["misbehave"]:
        told = {name: value for name, value in fault.items() if name != "service"}
        post(f"{orders.fleet.url(fault['service'])}/misbehave", told | {"instance": order["order_id"]})
    return json.dumps({"order": order})


@pytest.mark.parametrize(
    "about",
    ["one line", "split payment", "payment declined", "stock declined by the shop for no visible reason"],
)
def test_an_order_runs_to_the_end_that_it_must_have(orders: Orders, about: str) -> None:
    case, place = CASES[about], at_url(orders.serving.url)
    order_id = case["given"]["order_id"]
    saga = place.ask(
        "start", "order", "--data", placed(orders, case), "--id", order_id, "--wait", "60", "--json"
    ).json
    assert {name: saga[name] for name in case["expect"]} == case["expect"]
    watched = place.ask("watch", order_id).lines
    last = "SagaCompleted" if saga["status"] == "completed" else "SagaCompensated"
    assert watched[-1].split()[2] == last
    assert len(watched) == saga["position"]


def test_the_timeline_of_a_declined_payment_reads_from_top_to_bottom(orders: Orders) -> None:
    case, place = CASES["split payment, the wallet is empty"], at_url(orders.serving.url)
    order_id = case["given"]["order_id"]
    place.ask("start", "order", "--data", placed(orders, case), "--id", order_id, "--wait", "60").well()
    shown = place.ask("show", order_id).lines
    assert shown[0] == f"{order_id}  order version 1  compensated  PAYMENT_FAILED"
    assert shown[1].startswith("turned round by split-payment/pay-part[wallet")
    rows = [re.split(r"  +", line) for line in shown[shown.index("") + 2 :]]
    told = [(row[1], row[-1] if row[1].startswith("undo") else "") for row in rows]
    turned = next(place for place, row in enumerate(rows) if row[1] == "turned round")
    undone = [what for what, outcome in told[turned:] if outcome == "succeeded"]
    assert undone[-1] == "undo cancel-order"
    assert {"undo reserve-stock[sku-1]"} <= set(undone)
    assert rows[-1][1] == "compensated"
    done = next(row for row in rows if row[1] == "reserve-stock[sku-1]")
    assert (done[2:4], done[5]) == (["product", "1"], "succeeded")
    assert re.fullmatch(r"\d+\.\d{3} s", done[4])
