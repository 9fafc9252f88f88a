"""The Eureka server of a test run, and what tests say to it and hear from it, over its REST interface.

Rules: services have names that nobody else uses, so tests do not see one another.
It does not: start anything before it is asked for (`tests/adapters/shared.py` says how long it lives).
"""

import http.client
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from servers import eureka
from tests.adapters.shared import Shared

_SHARED = Shared("servers.eureka")


def registry() -> eureka.Server:
    """Return the shared server."""
    found: eureka.Server = _SHARED.server()
    return found


def new_name() -> str:
    """Return the name of a service that nobody has used."""
    return f"t-{uuid.uuid4().hex[:12]}"


def ask(url: str, method: str, path: str, document: object = None) -> Any:
    """Return what the server at `url` answers as JSON; None when it knows no such thing."""
    server = urlsplit(url)
    connection = http.client.HTTPConnection(server.hostname or "", server.port, timeout=20)
    try:
        connection.request(
            method,
            f"{server.path}apps/{path}",
            body=None if document is None else json.dumps(document),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in {200, 204, 404}, body
    return None if answer.status == 404 else json.loads(body) if body else {}


def instance(url: str, app: str, identity: str) -> dict[str, Any] | None:
    """One instance as the server shows it; this is not cached."""
    found = ask(url, "GET", f"{app}/{identity}")
    return None if found is None else dict(found["instance"])


def register(url: str, app: str, port: int, *, status: str = "UP", **more: object) -> str:
    """Register an instance on loopback, as its own client would; return its id."""
    document: dict[str, object] = {
        "instanceId": f"127.0.0.1:{app}:{port}",
        "app": app.upper(),
        "hostName": "127.0.0.1",
        "ipAddr": "127.0.0.1",
        "vipAddress": app,
        "status": status,
        "port": {"$": port, "@enabled": "true"},
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
            "name": "MyOwn",
        },
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        **more,
    }
    ask(url, "POST", app.upper(), {"instance": document})
    return str(document["instanceId"])


def unregister(url: str, app: str, identity: str) -> None:
    """Take an instance out."""
    ask(url, "DELETE", f"{app.upper()}/{identity}")


def override(url: str, app: str, identity: str, status: str) -> None:
    """Say how an instance stands, as an operator does."""
    ask(url, "PUT", f"{app.upper()}/{identity}/status?value={status}")


def has_status(url: str, app: str, identity: str, status: str) -> Callable[[], bool]:
    """What tells whether the server shows that."""

    def look() -> bool:
        found = instance(url, app, identity)
        return found is not None and found["status"] == status

    return look
