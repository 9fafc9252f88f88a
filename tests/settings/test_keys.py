"""Every key: its documentation, its names, the edges of its range."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from amends.adapters.http import requests
from amends.application.orchestrator import NAMESPACE
from amends.definition.policy import FORWARD, UNDO
from amends.settings import Examined, Settings, examine
from amends.settings.catalogue import DEFAULTS, KEYS, SECTIONS
from amends.settings.keys import ANY, Key
from amends.settings.kinds import RESERVED_HEADERS, Wrong
from tests.settings.pages import EXAMPLE, PAGE, REGENERATE, example, page
from tests.settings.values import EDGES

NAMED = [pytest.param(key, id=key.name) for key in KEYS.values()]

COMPANIONS: Mapping[str, Mapping[str, str]] = {
    "server.host": {"AMENDS_SERVER_ALLOW_ANONYMOUS_NETWORK": "true"},
    "kafka.serialization": {"AMENDS_KAFKA_SCHEMA_REGISTRY_URL": "http://registry"},
    "kafka.security-protocol": {"AMENDS_KAFKA_USERNAME": "u", "AMENDS_KAFKA_PASSWORD": "p"},
    "microservices.*.url": {"AMENDS_EUREKA_DEFAULT_ZONE": "http://eureka"},
    "microservices.*.timeout": {"AMENDS_MICROSERVICES_SHOP_URL": "http://shop"},
    "microservices.*.headers": {"AMENDS_MICROSERVICES_SHOP_URL": "http://shop"},
    "microservices.*.rate": {"AMENDS_MICROSERVICES_SHOP_URL": "http://shop"},
    "microservices.*.width": {"AMENDS_MICROSERVICES_SHOP_URL": "http://shop"},
    "microservices.*.status": {"AMENDS_MICROSERVICES_SHOP_URL": "http://shop"},
    "breaker.open-for": {"AMENDS_BREAKER_LONGEST": "1d"},
    "breaker.longest": {"AMENDS_BREAKER_OPEN_FOR": "1ms"},
}
"""What a key must stand beside to be right."""


def named(key: Key, variable: str) -> str:
    return variable.replace(ANY, "SHOP" if key.path[0] == "microservices" else ANY)


def with_variable(key: Key, variable: str, text: str) -> Examined:
    return examine(None, {**COMPANIONS.get(key.name, {}), named(key, variable): text})


def held(examined: Examined, key: Key) -> Any:
    name = key.name.replace(ANY, "shop")
    return next(each.value for each in examined.effective() if each.name == name)


def test_every_key_has_its_edges() -> None:
    assert sorted(EDGES) == sorted(key.name for key in KEYS.values())


@pytest.mark.parametrize("key", NAMED)
def test_a_key_takes_what_is_in_its_range(key: Key) -> None:
    for text in EDGES[key.name].good:
        examined = with_variable(key, key.variables[0], text)
        assert held(examined, key) == key.kind.read(text), text


@pytest.mark.parametrize("key", NAMED)
def test_a_key_refuses_what_is_beyond_its_range(key: Key) -> None:
    for text in EDGES[key.name].bad:
        with pytest.raises(Wrong):
            key.kind.read(text)
        examined = with_variable(key, key.variables[0], text)
        errors = [fault for fault in examined.faults if fault.severity == "error"]
        assert examined.settings is None, text
        assert errors[0].message.startswith(f"{key.name.replace(ANY, 'shop')}: "), text
        assert len(str(errors[0])) < 500
        assert str(errors[0]).isprintable()


@pytest.mark.parametrize("key", NAMED)
def test_every_variable_of_a_key_sets_it(key: Key) -> None:
    text = EDGES[key.name].good[0]
    for variable in key.variables:
        examined = with_variable(key, variable, text)
        assert held(examined, key) == key.kind.read(text), variable
        origin = next(
            o
            for path, o in examined.origins.items()
            if path[-1] == key.path[-1] and o.name == named(key, variable)
        )
        assert str(origin) == f"environment {named(key, variable)}"


@pytest.mark.parametrize("key", NAMED)
def test_a_key_is_documented_and_its_default_is_in_its_range(key: Key) -> None:
    assert len(key.doc) > 8
    assert key.doc.endswith(".")
    if key.default is not None and key.default not in ((), {}):
        assert key.kind.read(key.kind.write(key.default)) == key.default


def test_every_section_is_documented_and_no_two_keys_share_a_variable() -> None:
    assert all(section.doc.endswith(".") for section in SECTIONS.values())
    variables = [name for key in KEYS.values() for name in key.variables]
    assert len(variables) == len(set(variables))


def test_the_variables_that_a_spring_service_has() -> None:
    known = {name for key in KEYS.values() for name in key.variables}
    assert known >= {
        "SERVER_PORT",
        "SPRING_KAFKA_BOOTSTRAP_SERVERS",
        "SPRING_DATASOURCE_URL",
        "SPRING_DATASOURCE_USERNAME",
        "SPRING_DATASOURCE_PASSWORD",
        "SPRING_DATA_REDIS_HOST",
        "SPRING_DATA_REDIS_PORT",
        "EUREKA_CLIENT_SERVICE-URL_DEFAULTZONE",
        "EUREKA_CLIENT_SERVICE_URL_DEFAULTZONE",
    }


def test_the_nine_topics_and_the_port_of_the_service_that_it_takes_over_from() -> None:
    topics = DEFAULTS.kafka.topics
    assert DEFAULTS.server.port == 8095
    assert [getattr(topics, name) for name in list(topics.__dataclass_fields__)[:9]] == [
        "order-created-events",
        "product-reserved-events",
        "product-reservation-failed-events",
        "payment-processed-events",
        "payment-failed-events",
        "order-approved-events",
        "order-cancelled-events",
        "coupon-applied-events",
        "split-payment-processed-events",
    ]


def test_values_agree_with_the_rooms_below() -> None:
    assert DEFAULTS.saga.retry.policy() == FORWARD
    assert DEFAULTS.saga.undo_retry.policy() == UNDO
    assert vars(requests)["_RESERVED"] == RESERVED_HEADERS
    namespace = KEYS["saga", "namespace"].kind
    for text in (*EDGES["saga.namespace"].good, *EDGES["saga.namespace"].bad):
        assert bool(NAMESPACE.fullmatch(text)) == reads(namespace.read, text)


def reads(read: Any, text: str) -> bool:
    try:
        read(text)
    except Wrong:
        return False
    return True


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        DEFAULTS.server.port = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


FILES = [(PAGE, page()), (EXAMPLE, example())]


@pytest.mark.parametrize(("path", "made"), FILES, ids=lambda value: getattr(value, "name", ""))
def test_the_pages_are_up_to_date(path: Path, made: str) -> None:
    assert path.read_text(encoding="utf-8") == made, f"run: {REGENERATE}"


@pytest.mark.parametrize("key", NAMED)
def test_every_key_is_on_the_page_with_its_default_range_and_variables(key: Key) -> None:
    name = key.name.replace(ANY, "NAME")
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` |"))
    _, default, allowed, doc, variables = row.strip("|").split(" | ")
    assert default
    assert allowed
    assert doc == key.doc
    assert all(f"`{each.replace(ANY, 'NAME')}`" in variables for each in key.variables)


def test_the_example_file_is_the_defaults() -> None:
    examined = examine(str(EXAMPLE), {})
    assert examined.faults == ()
    assert examined.settings == Settings()
    optional = {key.name for key in KEYS.values() if key.default is None or ANY in key.path}
    assert {".".join(path) for path in examined.origins} == {key.name for key in KEYS.values()} - optional
