"""What Eureka may say of a service, and what is made of it."""

import json
from typing import Any

import pytest

from amends.adapters.eureka.documents import Instance, Unreadable, listing, registration

GOOD: dict[str, Any] = {
    "instanceId": "a:shop:80",
    "hostName": "a.example",
    "ipAddr": "10.0.0.1",
    "status": "UP",
    "port": {"$": 8081, "@enabled": "true"},
    "securePort": {"$": 443, "@enabled": "false"},
}


def said(*instances: object) -> bytes:
    return json.dumps({"application": {"name": "SHOP", "instance": list(instances)}}).encode()


@pytest.mark.parametrize(
    ("changed", "url"),
    [
        ({}, "http://a.example:8081"),
        ({"port": {"$": "8081", "@enabled": True}}, "http://a.example:8081"),
        ({"securePort": {"$": 8443, "@enabled": "true"}}, "https://a.example:8443"),
        (
            {"port": {"$": 1, "@enabled": "false"}, "securePort": {"$": 2, "@enabled": "true"}},
            "https://a.example:2",
        ),
        ({"hostName": "10.0.0.9"}, "http://10.0.0.9:8081"),
        ({"hostName": "::1"}, "http://[::1]:8081"),
        ({"metadata": {"x": [1, 2]}, "overriddenStatus": "UNKNOWN"}, "http://a.example:8081"),
    ],
)
def test_an_instance_that_is_up_is_called_where_it_says(changed: dict[str, Any], url: str) -> None:
    assert listing(said(GOOD | changed)) == ((url,), 0)


@pytest.mark.parametrize("status", ["DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN", "up", ""])
def test_an_instance_that_is_not_up_is_left_out(status: str) -> None:
    assert listing(said(GOOD | {"status": status}, GOOD | {"hostName": "b"})) == (("http://b:8081",), 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"hostName": ""},
        {"hostName": "a b"},
        {"hostName": "a/b"},
        {"hostName": "a\r\nX: y"},
        {"hostName": "u:p@a"},
        {"hostName": "h" * 300},
        {"hostName": 7},
        {"hostName": None},
        {"port": {"$": 0, "@enabled": "true"}},
        {"port": {"$": 65536, "@enabled": "true"}},
        {"port": {"$": "8o", "@enabled": "true"}},
        {"port": {"$": -1, "@enabled": "true"}},
        {"port": {"$": "9" * 5000, "@enabled": "true"}},
        {"port": {"$": 8081, "@enabled": "false"}},
        {"port": 8081},
        {"status": ["UP"]},
    ],
)
def test_an_entry_that_cannot_be_used_does_not_harm_its_neighbours(changed: dict[str, Any]) -> None:
    found = listing(said(GOOD | changed, GOOD | {"hostName": "b"}))
    assert found == (("http://b:8081",), 1)


def test_an_entry_that_is_no_object_does_not_either() -> None:
    assert listing(said("x", 7, None, [GOOD], GOOD)) == (("http://a.example:8081",), 4)


def test_one_that_is_alone_may_stand_without_a_list() -> None:
    body = json.dumps({"application": {"name": "SHOP", "instance": GOOD}}).encode()
    assert listing(body) == (("http://a.example:8081",), 0)


def test_the_same_place_counts_once_and_the_order_is_fixed() -> None:
    places = [GOOD | {"hostName": name} for name in ("b", "a", "b")]
    assert listing(said(*places)).urls == ("http://a:8081", "http://b:8081")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<application/>",
        b"\xff",
        b'{"application": null}',
        b'{"application": {"instance": 7}}',
        b'{"application": {"instance": "x"}}',
        b'{"application": {"instance": [' + b"[" * 100_000,
    ],
)
def test_what_is_no_such_document_says_nothing(body: bytes) -> None:
    with pytest.raises(Unreadable) as found:
        listing(body)
    assert len(str(found.value)) < 500


def test_a_service_without_instances_has_none() -> None:
    assert listing(said()) == ((), 0)


@pytest.mark.parametrize(
    ("instance", "host", "pages"),
    [
        (Instance("Shop", "a.example", 8095), "a.example", "http://a.example:8095/"),
        (Instance("Shop", "a.example", 8095, prefers_ip=True), "10.0.0.1", "http://10.0.0.1:8095/"),
        (Instance("Shop", "::1", 443, is_secure=True), "::1", "https://[::1]:443/"),
    ],
)
def test_what_is_registered_is_found_at_the_same_place(instance: Instance, host: str, pages: str) -> None:
    document = json.loads(registration(instance, "UP", ip="10.0.0.1", renewal_s=30, dirty_ms=1))["instance"]
    assert (document["app"], document["vipAddress"], document["hostName"]) == ("SHOP", "shop", host)
    assert document["instanceId"] == f"{instance.host}:Shop:{instance.port}"
    assert document["leaseInfo"] == {"renewalIntervalInSecs": 30, "durationInSecs": 90}
    assert [document[name] for name in ("homePageUrl", "statusPageUrl", "healthCheckUrl")] == [
        pages,
        f"{pages}ready",
        f"{pages}health",
    ]
    assert listing(said(document)).urls == (pages.rstrip("/"),)
