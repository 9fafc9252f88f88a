"""Which topics carry Avro: the setting for all, the file of bindings for single ones."""

from pathlib import Path

import pytest

from amends import bootstrap
from amends.settings import SettingsInvalid
from amends.settings.topics import load_topics
from amends.wire.topics import Registry

FILE = """
participants:
  inventory: {commands: inventory.commands}
  payment: {commands: payment.commands}
starts:
  order.created: {saga: order, saga-id: id}
"""


def written(folder: Path, more: str) -> str:
    file = folder / "kafka.yaml"
    file.write_text(FILE + more, "utf-8")
    return str(file)


def test_a_topic_may_carry_something_else_than_the_others(tmp_path: Path) -> None:
    more = "serialization: {inventory.commands: avro, topics.replies: json}\n"
    found = load_topics(written(tmp_path, more), {"replies": "amends.replies"})
    carrying = found.carrying
    assert carrying("avro", replies="amends.replies", others="json") == {"inventory.commands"}
    assert carrying("avro", replies="amends.replies", others="avro") == {
        "inventory.commands",
        "payment.commands",
        "order.created",
    }


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("serialization: {inventory.commands: protobuf}", "'protobuf' is not json or avro"),
        ("serialization: [inventory.commands]", "a mapping is expected"),
        ("serialization: {topics.none: avro}", "kafka.topics has no none"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        load_topics(written(tmp_path, more), {"replies": "amends.replies"})
    assert told.replace("'", "") in str(invalid.value).replace("'", "")


def test_a_topic_that_no_binding_uses_is_told(tmp_path: Path) -> None:
    found = load_topics(written(tmp_path, "serialization: {inventory.comands: avro}"), {})
    with pytest.raises(ValueError, match=r"serialization names inventory\.comands, which no binding uses"):
        bootstrap.kafka(["127.0.0.1:9"], found)


def test_avro_needs_a_registry(tmp_path: Path) -> None:
    found = load_topics(written(tmp_path, "serialization: {inventory.commands: avro}"), {})
    with pytest.raises(ValueError, match=r"inventory\.commands carries Avro, which needs a schema registry"):
        bootstrap.kafka(["127.0.0.1:9"], found)
    cluster = bootstrap.kafka(["127.0.0.1:9"], found, registry=Registry("http://127.0.0.1:9"))
    assert cluster.unpack is not None
    assert bootstrap.kafka(["127.0.0.1:9"], load_topics(written(tmp_path, ""), {})).unpack is None
