"""Which source wins, what placeholders bring, and how unknown and wrong values are told."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from amends.settings import Examined, SettingsInvalid, config_file, examine, load

NOTHING: Mapping[str, str] = {}


def look(folder: Path, text: str, environment: Mapping[str, str] = NOTHING) -> Examined:
    (folder / "a.yaml").write_text(text)
    return examine(str(folder / "a.yaml"), environment)


def faults(folder: Path, text: str, environment: Mapping[str, str] = NOTHING) -> list[str]:
    return [str(fault).removeprefix(f"{folder}/") for fault in look(folder, text, environment).faults]


# --- precedence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "text", "port", "origin"),
    [
        ({}, "", 8095, "default"),
        ({}, "server: {port: 81}", 81, "a.yaml:1:16"),
        ({"SERVER_PORT": "82"}, "server: {port: 81}", 82, "environment SERVER_PORT"),
        ({"AMENDS_SERVER_PORT": "83"}, "server: {port: 81}", 83, "environment AMENDS_SERVER_PORT"),
        ({"AMENDS_SERVER_PORT": "83", "SERVER_PORT": "82"}, "", 83, "environment AMENDS_SERVER_PORT"),
        ({"AMENDS_SERVER_PORT": "", "SERVER_PORT": "82"}, "", 82, "environment SERVER_PORT"),
        ({"SERVER_PORT": ""}, "server: {port: 81}", 81, "a.yaml:1:16"),
    ],
)
def test_environment_over_file_over_default(
    environment: dict[str, str], text: str, port: int, origin: str, tmp_path: Path
) -> None:
    examined = look(tmp_path, text, environment)
    assert examined.use().server.port == port
    (found,) = (each for each in examined.effective() if each.name == "server.port")
    assert str(found.origin).removeprefix(f"{tmp_path}/") == origin


def test_of_two_variables_that_differ_ours_wins_and_it_is_said() -> None:
    differ = examine(None, {"AMENDS_SERVER_PORT": "83", "SERVER_PORT": "82"})
    assert list(map(str, differ.faults)) == [
        "environment SERVER_PORT: warning: is not used for server.port: AMENDS_SERVER_PORT wins over it"
    ]
    assert examine(None, {"AMENDS_SERVER_PORT": "83", "SERVER_PORT": "83"}).faults == ()
    # What is not used need not be right.
    assert (
        examine(None, {"AMENDS_SERVER_PORT": "83", "SERVER_PORT": "tcp://10.0.0.1:83"}).use().server.port
        == 83
    )


def test_a_wrong_value_in_the_file_is_told_although_a_variable_stands_over_it(tmp_path: Path) -> None:
    assert faults(tmp_path, "server: {port: 0}", {"SERVER_PORT": "82"}) == [
        "a.yaml:1:16: server.port: 0 is not a whole number from 1 to 65,535"
    ]


def test_all_faults_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "log: {level: loud}\nserver:\n  prot: 1\n  port: 0\n  port: 1\nredis: {port: x}\n"
    found = faults(tmp_path, text, {"AMENDS_SAGA_MOST_LIVE": "0", "AMENDS_SAGA_MOST_LIFE": "1"})
    assert [each.partition(" ")[0] for each in found] == [
        "a.yaml:1:14:", "a.yaml:3:3:", "a.yaml:4:9:", "a.yaml:5:3:", "a.yaml:6:15:", "environment", "environment",
    ]  # fmt: skip
    with pytest.raises(SettingsInvalid) as caught:
        load(str(tmp_path / "a.yaml"), {})
    assert len(caught.value.faults) == 5
    assert str(caught.value).count("\n") == 4


def test_the_file_may_be_named_by_a_variable_and_as_spring_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("server: {port: 81}")
    assert config_file("x.yaml", {"AMENDS_CONFIG": "y"}) == "x.yaml"
    assert config_file(None, {"AMENDS_CONFIG": "y", "SPRING_CONFIG_LOCATION": "z"}) == "y"
    assert (
        config_file(None, {"AMENDS_CONFIG": "", "SPRING_CONFIG_LOCATION": "file:./z.yaml"}) == "file:./z.yaml"
    )
    assert config_file(None, {}) is None
    assert load(f"file:{tmp_path}/a.yaml", {}).server.port == 81


# --- names that are not known -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sever: {}", "a.yaml:1:1: unknown key sever: did you mean server?"),
        ("server: {prot: 1}", "a.yaml:1:10: unknown key server.prot: did you mean server.port?"),
        ("server: {maxWait: 1s}", "a.yaml:1:10: unknown key server.maxWait: did you mean server.max-wait?"),
        ("port: 1", "a.yaml:1:1: unknown key port: did you mean server.port or redis.port?"),
        ("log: {file: x}", "a.yaml:1:7: unknown key log.file: here may stand level, format, requests"),
        (
            "saga: {retry: {atempts: 1}}",
            "a.yaml:1:16: unknown key saga.retry.atempts: did you mean saga.retry.attempts?",
        ),
        (
            "kafka: {topics: {refund: x}}",
            "a.yaml:1:18: unknown key kafka.topics.refund: here may stand order-created, ",
        ),
        (
            "microservices: {a: {url: http://a, timout: 1s}}",
            "a.yaml:1:36: unknown key microservices.a.timout: did you mean microservices.a.timeout?",
        ),
        ('"\\e[31m": 1', "a.yaml:1:1: unknown key \\x1b[31m: here may stand server, "),
        ("1: 2", "a.yaml:1:1: unknown key 1: here may stand server, "),
        ("spring: {jpa: 1}", "a.yaml:1:1: unknown key spring: "),
        ("spring: {datasource: {url: x}}", "a.yaml:1:23: spring.datasource.url is called database.url here"),
        (
            "spring: {kafka: {bootstrapServers: x, bootstrap-servers: y}}",
            "a.yaml:1:39: spring.kafka.bootstrap-servers is called kafka.bootstrap-servers here",
        ),
        (
            "eureka: {client: {service-url: {defaultZone: x}}}",
            "a.yaml:1:33: eureka.client.service-url.defaultZone is called eureka.default-zone here",
        ),
        ("logging: {level: {root: INFO}}", "a.yaml:1:19: logging.level.root is called log.level here"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(text: str, said: str, tmp_path: Path) -> None:
    (found,) = faults(tmp_path, text)
    assert found.startswith(said)
    assert len(found) < 500


def test_a_misspelt_variable_of_ours_is_refused_and_those_of_kubernetes_are_not() -> None:
    kubernetes = {
        "AMENDS_SERVER_SERVICE_HOST": "10.0.0.1",
        "AMENDS_SERVER_SERVICE_PORT": "8095",
        "AMENDS_SERVER_SERVICE_PORT_HTTP": "8095",
        "AMENDS_SERVER_PORT_8095_TCP": "tcp://10.0.0.1:8095",
        "AMENDS_SERVER_PORT_8095_TCP_ADDR": "10.0.0.1",
    }
    others = {"AMENDS_CONFIG": "x", "AMENDS_HOME": "y", "SERVER_PROT": "z", "AMENDS_LOG_LEVLE": ""}
    assert examine(None, {**kubernetes, **others}).faults == ()
    (fault,) = examine(None, {"AMENDS_LOG_LEVLE": "info"}).faults
    assert str(fault) == "environment AMENDS_LOG_LEVLE: unknown setting: did you mean AMENDS_LOG_LEVEL?"
    (fault,) = examine(None, {"AMENDS_SERVER_PORT": "tcp://10.0.0.1:8095"}).faults
    assert "enableServiceLinks: false" in str(fault)


# --- types ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "saga: {retry: {attempts: no}}",
            "saga.retry.attempts: no is not a whole number from 1 to 10,000 (YAML 1.1 reads no as false)",
        ),
        (
            "saga: {step-timeout: 012}",
            "saga.step-timeout: 012 is not a duration from 1ms to 3660d; write the unit: 12s, 12ms, 12m (YAML 1.1",
        ),
        (
            "saga: {step-timeout: 12:30:45}",
            "saga.step-timeout: 12:30:45 is not a duration from 1ms to 3660d; write one number and its unit: 45045s",
        ),
        (
            "server: {port: 08095}",
            "server.port: 08095 is not a whole number from 1 to 65,535; write 8095",
        ),
        (
            "server: {port: 010}",
            "server.port: 010 is not a whole number from 1 to 65,535; write 10 (YAML 1.1 reads 010 as the number 8)",
        ),
        (
            "redis: {ssl: on}",
            "redis.ssl: on is not true or false (YAML 1.1 reads on as true)",
        ),
        ("kafka: {username: no}", "kafka.username: YAML may take no for false: write it in quotes"),
        ("kafka: {username: 12}", "kafka.username: YAML may take 12 for a number: write it in quotes"),
        ("kafka: {username: 012}", "kafka.username: YAML may take 012 for the number 10: write it in quotes"),
        (
            "kafka: {username: 2026-11-21}",
            "kafka.username: YAML may take 2026-11-21 for a date: write it in quotes",
        ),
        ("kafka: {username: ~}", "kafka.username: YAML may take ~ for nothing: write it in quotes"),
        (
            "kafka: {password: 0123}",
            "kafka.password: YAML may take the value for something else than a text: write it in quotes",
        ),
        ("server: {port: }", "server.port has no value: give one, or leave the key out"),
        ('server: {port: ""}', "server.port has no value: give one, or leave the key out"),
        ("server: {port: [1]}", "server.port is a list, not a whole number from 1 to 65,535"),
        ("server: {port: {a: 1}}", "server.port is a mapping, not a whole number from 1 to 65,535"),
        ("server: 8095", "server is a section: its keys stand below it, indented"),
        ("saga: {retry: [1]}", "saga.retry is a section: its keys stand below it, indented"),
        (
            "kafka: {bootstrap-servers: {a: 1}}",
            "kafka.bootstrap-servers is a mapping, not a list of at most 100, each",
        ),
        (
            "kafka: {bootstrap-servers: ['a:1', [b]]}",
            "kafka.bootstrap-servers[1] is not one value: HOST:PORT",
        ),
        (
            "kafka: {bootstrap-servers: ['a:1', b]}",
            "kafka.bootstrap-servers[1]: b is not HOST:PORT with a port",
        ),
        (
            f"kafka: {{bootstrap-servers: [{'a,' * 101}]}}",
            "kafka.bootstrap-servers has 101 items, not 100 at most",
        ),
        ("microservices: [a]", "microservices is a section: its keys stand below it, indented"),
        ("microservices: {a: }", "microservices.a needs url"),
        ("microservices: {a: {timeout: 1s}}", "microservices.a needs url"),
        ('microservices: {a: {url: "${U:}"}}', "microservices.a needs url"),
        ("microservices: {a b: http://a}", "microservices.a b: a name is 1 to 100 letters, digits"),
        (
            "microservices: {a: {url: http://a, headers: [x]}}",
            "microservices.a.headers is a list, not HTTP headers",
        ),
        (
            "microservices: {a: {url: http://a, headers: {A: [x]}}}",
            "microservices.a.headers.A is not one value: a hea",
        ),
        (
            "microservices: {a: {url: http://a, headers: {A: x, a: y}}}",
            "microservices.a.headers.a is there twice",
        ),
        (
            "microservices: {a: {url: http://a, headers: {Host: x}}}",
            "microservices.a.headers.Host: the header Host is",
        ),
        (
            "log: {level: inof}",
            "log.level: inof is not one of debug, info, warning, error; did you mean info?",
        ),
    ],
)
def test_a_wrong_type_is_told_with_what_to_write(text: str, said: str, tmp_path: Path) -> None:
    (found,) = faults(tmp_path, text)
    assert found.split(": ", 1)[1].startswith(said)


def test_quotes_make_a_text_of_anything(tmp_path: Path) -> None:
    held = look(tmp_path, "kafka: {username: 'no', client-id: \"012\", consumer-group: 12 30}").use().kafka
    assert (held.username, held.client_id, held.consumer_group) == ("no", "012", "12 30")


def test_durations_and_sizes_are_typed(tmp_path: Path) -> None:
    text = "server: {max_body_size: 2MiB, header-timeout: 250ms, body-timeout: PT1M30S, idle-timeout: 1.5m}"
    server = look(tmp_path, text).use().server
    assert server.max_body_size == 2 * 1024 * 1024
    assert server.header_timeout == timedelta(milliseconds=250)
    assert server.body_timeout == server.idle_timeout == timedelta(seconds=90)


# --- entries ------------------------------------------------------------------------------------------------------


def test_microservices_from_the_file_and_the_environment(tmp_path: Path) -> None:
    text = "microservices:\n  inventory: http://a\n  Order_Svc:\n    url: http://b\n    headers: {X-A: b}\n"
    environment = {
        "AMENDS_MICROSERVICES_INVENTORY_TIMEOUT": "5s",
        "AMENDS_MICROSERVICES_ORDER_SVC_URL": "http://c",
        "AMENDS_MICROSERVICES_ORDER_SVC_HEADERS": "X-B=1, X-C=2=3",
        "AMENDS_MICROSERVICES_PAY_MENT_URL": "http://d",
    }
    found = look(tmp_path, text, environment).use().microservices
    assert {name: (each.url.text, each.timeout.seconds) for name, each in found.items()} == {
        "inventory": ("http://a", 5),
        "Order_Svc": ("http://c", 30),
        "pay-ment": ("http://d", 30),
    }
    assert {name: each.reveal() for name, each in found["Order_Svc"].headers.items()} == {
        "X-B": "1",
        "X-C": "2=3",
    }


def test_an_entry_of_the_environment_needs_its_url_and_one_meaning(tmp_path: Path) -> None:
    assert faults(tmp_path, "", {"AMENDS_MICROSERVICES_A_TIMEOUT": "5s"}) == [
        "environment AMENDS_MICROSERVICES_A_TIMEOUT: microservices.a needs url"
    ]
    text = "microservices: {a-b: http://a, a_b: http://b}"
    assert faults(tmp_path, text, {"AMENDS_MICROSERVICES_A_B_URL": "http://c"}) == [
        "environment AMENDS_MICROSERVICES_A_B_URL: may mean a-b or a_b"
    ]


# --- placeholders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("${A}", "one"),
        ("${A:other}", "one"),
        ("${NOT:other}", "other"),
        ("${NOT:${A}}", "one"),
        ("${NOT:${NEITHER:a:b}}", "a:b"),
        ("${EMPTY:other}", "other"),
        ("x-${A}-${A}", "x-one-one"),
        ("${A:${NOT}}", "one"),
        ("\\${A}", "${A}"),
        ("$A {}", "$A {}"),
        ("}", "}"),
        ("${SELF}", "${SELF}"),
        ("${NOT:}", "amends"),
    ],
)
def test_placeholders_are_filled_in_as_spring_does(written: str, held: str, tmp_path: Path) -> None:
    environment = {"A": "one", "EMPTY": "", "SELF": "${SELF}"}
    assert look(tmp_path, f"kafka: {{client-id: '{written}'}}", environment).use().kafka.client_id == held


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${NOT}", "the variable NOT is not set; set it, or write ${NOT:default}"),
        ("${NOT:${NEITHER}}", "the variable NEITHER is not set; set it, or write ${NEITHER:default}"),
        ("${A", "a placeholder is ${NAME} or ${NAME:default}"),
        ("${A:x", "a placeholder ${ is not closed with }"),
        ("${}", "a placeholder is ${NAME} or ${NAME:default}"),
        ("${A B}", "a placeholder is ${NAME} or ${NAME:default}"),
        ("${NOT:" * 9 + "}" * 9, "placeholders are nested more than 8 deep"),
        ("${NOT:" * 40_000, "placeholders are nested more than 8 deep"),
        ("${BIG}" * 20_000, "its variables hold more than 4,096 characters"),
    ],
)
def test_a_placeholder_that_cannot_be_filled_in_is_told(written: str, said: str, tmp_path: Path) -> None:
    environment = {"A": "one", "BIG": "b" * 1_000}
    found = faults(tmp_path, f"# nothing\nkafka: {{client-id: '{written}'}}", environment)
    assert found == [f"a.yaml:2:20: kafka.client-id: {said}"]


def test_a_placeholder_is_typed_like_what_it_stands_for(tmp_path: Path) -> None:
    text = "server: {port: '${PORT:81}', max-wait: ${WAIT:5s}}\n".replace("${WAIT:5s}", "'${WAIT:5s}'")
    assert look(tmp_path, text).use().server.port == 81
    found = faults(tmp_path, text, {"PORT": "hunter2"})
    assert found == ["a.yaml:1:16: server.port: ${PORT:81} is not a whole number from 1 to 65,535"]


# --- what keys must agree on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "server: {host: 0.0.0.0}",
            "a.yaml:1:16: server.host 0.0.0.0 is reached from other machines and server.api-",
        ),
        ("server: {host: '::'}", "a.yaml:1:16: server.host :: is reached from other machines"),
        (
            "server: {host: example.com}",
            "a.yaml:1:16: server.host example.com is reached from other machines",
        ),
        (
            "kafka: {serialization: avro}",
            "a.yaml:1:24: kafka.serialization avro needs kafka.schema-registry-url",
        ),
        (
            "kafka: {security-protocol: sasl_ssl}",
            "a.yaml:1:28: kafka.security-protocol sasl_ssl needs kafka.username",
        ),
        (
            "kafka: {topics: {transitions: amends.replies}}",
            "a.yaml:1:31: kafka.topics.transitions is amends.replies, ",
        ),
        ("saga: {retry: {first: 1m}}", "a.yaml:1:23: saga.retry.first is longer than saga.retry.cap"),
        (
            "saga: {undo-retry: {cap: 1ms}}",
            "default: saga.undo-retry.first is longer than saga.undo-retry.cap",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (found,) = faults(tmp_path, text)
    assert found.startswith(said)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_this_machine_needs_no_key(host: str) -> None:
    assert examine(None, {"SERVER_ADDRESS": host}).faults == ()


@pytest.mark.parametrize(
    "more", [{"AMENDS_SERVER_API_KEYS": "k" * 16}, {"AMENDS_SERVER_ALLOW_ANONYMOUS_NETWORK": "true"}]
)
def test_the_network_needs_a_key_or_a_word(more: dict[str, str]) -> None:
    assert examine(None, {"SERVER_ADDRESS": "::", **more}).faults == ()
