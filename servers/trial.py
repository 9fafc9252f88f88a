"""A short trial of the deployment: sagas through each orchestrator, and what may be taken away while they run.

    python -m servers.trial [DIR]       everything up, the trial, everything down; exit code 0 or 1
    python -m servers.trial DIR --stay  the same, but it stays up until Ctrl-C, and its content stays in DIR

Rules: each line says what was seen, with the seconds since the beginning; what did not come about raises `Failed`.
It does not: know how anything is started (`deployment`).
"""

import itertools
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from servers.deployment import Deployment, Failed, ask
from servers.frame import Unable

ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")
NUMBERS = itertools.count(1)
MANY = 20


def trial(deployment: Deployment) -> None:
    """Try it.

    Raises:
        Failed: something did not come about.
    """
    for name in ORCHESTRATORS:
        one_order(deployment, name)
        one_booking(deployment, name)
    shares(deployment, {ORCHESTRATORS[0]: 32, ORCHESTRATORS[1]: 32})
    if "redis" in deployment.servers:
        without_redis(deployment)
    take_over(deployment)
    if "eureka" in deployment.servers:
        registered(deployment)
    looked_on(deployment)


def one_order(deployment: Deployment, name: str) -> None:
    """An order, over HTTP, started at one orchestrator."""
    saga = ended(deployment, name, placed(deployment))
    _expect(saga["status"] == "completed", f"the order to complete, not {saga}")
    deployment.say(f"{name}: {saga['id']} {saga['status']}, {saga['business_status']}")


def one_booking(deployment: Deployment, name: str) -> None:
    """A booking, in event style over Kafka; what became of it is asked of one orchestrator."""
    booking_id = f"booking-{next(NUMBERS)}"
    booking = {
        "bookingId": booking_id,
        "customer": "ada",
        "account": "account-ada",
        "products": [{"productId": "room", "quantity": 1}],
    }
    ask(f"{deployment.here.url('booking', 8080)}/bookings", booking)
    deployment.until(partial(is_completed, deployment, name, booking_id), f"{booking_id} to complete")
    deployment.say(f"{name}: {booking_id} completed, started by an event")


def without_redis(deployment: Deployment) -> None:
    """Redis goes and comes: it is noticed, and sagas go on."""
    script, folder = deployment.script("redis"), deployment.folder / "redis"
    port = deployment.servers["redis"].port
    script.stop(folder)
    for name in ORCHESTRATORS:
        deployment.until(partial(is_alone, deployment, name), f"{name} to notice")
        one_order(deployment, name)
    deployment.say("redis: away, and only noticed")
    script.start(folder, port)
    for name in ORCHESTRATORS:
        deployment.until(partial(_not, is_alone, deployment, name), f"{name} to find it again")
    deployment.say("redis: back")


def take_over(deployment: Deployment) -> None:
    """One orchestrator is killed with orders in its hands; the other brings them to their end."""
    gone, left = ORCHESTRATORS
    orders = [placed(deployment) for _ in range(MANY)]
    for order in orders:
        # Payments are slow, so that they are under way when it dies.
        slow = {"command": "charge", "instance": order["order_id"], "how": "slow", "seconds": 1.0}
        ask(f"{deployment.here.url('order-payment', 8080)}/misbehave", slow)
    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(lambda order: begin(deployment, gone, order), orders))
    deployment.kill(gone)
    killed = time.monotonic()
    running = [
        order for order in orders if saga_at(deployment, left, order["order_id"])["status"] == "running"
    ]
    _expect(bool(running), "something to be under way")
    deployment.say(f"{gone}: {len(running)} of {MANY} orders were under way")
    for order in orders:
        order_id = order["order_id"]
        deployment.until(partial(is_completed, deployment, left, order_id), f"{order_id} to complete")
    deployment.say(f"{left}: took over, all completed {time.monotonic() - killed:.1f} s after the kill")
    shares(deployment, {left: 64})
    deployment.begin(gone)
    deployment.healthy(gone)
    shares(deployment, {gone: 32, left: 32})


def registered(deployment: Deployment) -> None:
    """Eureka knows both, also the one that was started again."""
    url = f"{deployment.here.url('eureka', 8761)}/eureka/apps/ORCHESTRATOR-SERVICE"

    def found() -> bool:
        try:
            return str(ask(url)).count("<status>UP</status>") == len(ORCHESTRATORS)
        except OSError:
            # It knows none.
            return False

    deployment.until(found, "both to be registered")
    deployment.say("eureka: both orchestrators are registered")


def looked_on(deployment: Deployment) -> None:
    """Prometheus sees both, counts sagas, and has read the alerts."""
    url = f"{deployment.here.url('prometheus', 9090)}/api/v1"

    def value(query: str) -> float:
        found = ask(f"{url}/query?query={quote(query)}")["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    deployment.until(lambda: value('count(up{job="amends"} == 1)') == len(ORCHESTRATORS), "both to be seen")
    deployment.until(lambda: value("sum(amends_sagas_completed_total)") >= MANY, "sagas to be counted")
    rules = [rule for group in ask(f"{url}/rules")["data"]["groups"] for rule in group["rules"]]
    _expect(
        bool(rules) and all(rule["health"] != "err" for rule in rules), f"every alert to be read: {rules}"
    )
    deployment.say(f"prometheus: sees both orchestrators, and watches for {len(rules)} alerts")


# --- words ------------------------------------------------------------------------------------------------------


def placed(deployment: Deployment) -> dict[str, Any]:
    """Place an order at the order service, as a customer does, and return it."""
    order = {
        "order_id": f"order-{next(NUMBERS)}",
        "customer": "ada",
        "lines": [{"sku": "sku-1", "quantity": 1, "price": "19.90"}],
        "payments": [{"method": "card", "account": "card-ada", "amount": "19.90"}],
        "total": "19.90",
    }
    ask(f"{deployment.here.url('order', 8080)}/orders", order)
    return order


def begin(deployment: Deployment, name: str, order: dict[str, Any], wait: int = 0) -> Any:
    """Start its saga at an orchestrator; return the instance."""
    body = {"saga": "order", "id": order["order_id"], "data": {"order": order}}
    return ask(f"{deployment.here.url(name, 8095)}/v1/sagas?wait={wait}", body)


def ended(deployment: Deployment, name: str, order: dict[str, Any]) -> Any:
    """Start its saga, and return the instance at its end."""
    return begin(deployment, name, order, wait=30)


def saga_at(deployment: Deployment, name: str, saga_id: str) -> Any:
    """Return an instance as an orchestrator shows it."""
    return ask(f"{deployment.here.url(name, 8095)}/v1/sagas/{saga_id}")


def ready(deployment: Deployment, name: str) -> dict[str, Any]:
    """Return what an orchestrator says of itself."""
    found: dict[str, Any] = ask(f"{deployment.here.url(name, 8095)}/ready")
    return found


def is_alone(deployment: Deployment, name: str) -> bool:
    """Tell whether an orchestrator does without the exchange."""
    return "exchange" in ready(deployment, name).get("troubles", {})


def is_completed(deployment: Deployment, name: str, saga_id: str) -> bool:
    """Tell whether that is what an orchestrator says of an instance."""
    try:
        return bool(saga_at(deployment, name, saga_id)["status"] == "completed")
    except OSError:
        # It has not begun.
        return False


def shares(deployment: Deployment, expected: dict[str, int]) -> None:
    """Wait until each decides so many of the 64 shards."""

    def found() -> dict[str, int]:
        try:
            return {name: ready(deployment, name)["shards"] for name in expected}
        except OSError:
            # It is up, and not ready yet.
            return {}

    deployment.until(lambda: found() == expected, f"the shards to be {expected}")
    deployment.say(f"shards: {', '.join(f'{name} {number}' for name, number in expected.items())}")


def _not(condition: Callable[..., bool], *arguments: Any) -> bool:
    return not condition(*arguments)


def _expect(what: bool, told: str) -> None:  # noqa: FBT001  a condition
    if not what:
        raise Failed(f"expected {told}")


def main(arguments: Sequence[str]) -> int:
    """Bring it up, try it, take it down; return the exit code."""
    began = time.monotonic()
    lock = threading.Lock()

    def say(line: str) -> None:
        with lock:
            sys.stdout.write(f"{time.monotonic() - began:6.1f} s  {line}\n")
            sys.stdout.flush()

    stays = "--stay" in arguments
    names = [each for each in arguments if not each.startswith("-")]
    with tempfile.TemporaryDirectory(prefix="amends-deployment-") as scratch:
        deployment = Deployment(Path(names[0] if names else scratch).resolve(), say)
        code = 1
        try:
            deployment.up()
            trial(deployment)
            if stays:
                say("up; Ctrl-C ends it")
                signal.pause()
            code = 0
        except KeyboardInterrupt:
            code = 0
        except (Failed, Unable, OSError) as error:
            say(f"FAILED: {error}")
            for log in sorted(deployment.folder.glob("*.log")):
                say(f"--- {log.name}\n{log.read_text('utf-8', errors='replace')[-2000:]}")
        finally:
            codes = deployment.down()
        wrong = {name: number for name, number in codes.items() if number}
        say(f"down; {f'exit codes {wrong}' if wrong else 'every exit code is 0'}")
    return code or int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
