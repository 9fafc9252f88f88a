"""What a flowchart says, and that no name can break it. ``AMENDS_REWRITE=1`` writes the charts anew; read the diff."""

import os
import re
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from amends.definition import (
    Command,
    Node,
    Participant,
    Saga,
    Step,
    each,
    on_rollback,
    parallel,
    pause_for,
    sequence,
    subsaga,
    tolerate,
    wait_for,
    when,
)
from amends.definition.shape import shape
from amends.export.mermaid import flowchart, flowchart_of_shape, written
from examples.order.saga import ORDER
from tests.core import sagas, trees
from tests.docs.documents import page

FOLDER = Path(__file__).parent / "testdata"
NODE = re.compile(
    r'^ +(n\d+)(?:\[\[|\[/|\[\\|\[|\(\[|\{\{|\{)"(.*)"(?:\]\]|/\]|\\\]|\]|\]\)|\}\}|\})$', re.MULTILINE
)
FRAME = re.compile(r'^ +subgraph (n\d+) \["(.*)"\]$', re.MULTILINE)
ARROW = re.compile(r'^    (n\d+) (?:-->(?:\|".*?"\|)?|-\. "undo" \.-) (n\d+)$', re.MULTILINE)
CLASS = re.compile(r"^    class(?:Def (\w+) [\w:;,. -]+| [n\d,]+ (\w+))$", re.MULTILINE)
LABEL = re.compile(r"(?:[A-Za-z0-9 ,_-]|[^\W\d_a-zA-Zﬂß]|#\d+;|<br/>)*")


def undo(_data: Any, _rollback: Any) -> Command[None]:
    return Command("undo")


def do(_data: Any) -> Command[None]:
    return Command("do")


def yes(*_given: Any) -> bool:
    return True


def length(_data: Any) -> timedelta:
    return timedelta(seconds=1)


def item(name: str) -> Node[Any]:
    return Step(name, Participant("shop"), do=do, undo=undo)


def everything() -> "Saga[Any]":
    """Every kind of node, and every way to write it."""
    inner = Saga("inner", version=3, data=dict[str, str], body=item("inside"))
    body: Node[Any] = sequence(
        on_rollback("cancel", Participant("shop"), undo=undo),
        sequence(item("first"), item("second"), name="both"),
        parallel(item("a"), item("b"), name="all-of-them"),
        parallel(item("c"), item("d"), join="any"),
        parallel(item("e"), item("f"), item("g"), join=2),
        each(lambda _data: ["x"], item("of-each"), key=str, item=str, name="fan"),
        when(yes, item("taken"), name="choice"),
        when(yes, item("taken-too"), otherwise=item("otherwise")),
        tolerate(item("coupon"), only_when=yes, name="optional"),
        wait_for("word", int, timeout=timedelta(days=2), otherwise=item("ask"), name="asking"),
        wait_for("sign", int, timeout=timedelta(minutes=90), accept=yes),
        wait_for("ever", int, timeout=None),
        pause_for(timedelta(seconds=1.5), name="rest"),
        pause_for(length),
        subsaga(inner, data=lambda data: data, name="child"),
        Step("kept", Participant("shop"), do=do, no_undo="an e-mail cannot be unsent"),
        Step("point", Participant("shop"), do=do, kind="pivot"),
        Step("after", Participant("shop"), do=do, kind="retriable"),
    )
    return Saga("everything", version=2, data=dict[str, str], body=body, deadline=timedelta(hours=1))


CHARTS = {
    "everything": everything,
    "order": lambda: ORDER,
    **{name: sagas.SAGAS[name] for name in ("fulfilment", "booking", "offer", "two-of-three", "waiting")},
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart(name: str) -> None:
    file, made = FOLDER / f"{name}.mmd", flowchart(CHARTS[name]())
    if os.environ.get("AMENDS_REWRITE"):
        file.write_text(made, encoding="utf-8")
        return
    assert made == file.read_text(encoding="utf-8"), f"{file.name} differs; AMENDS_REWRITE=1 writes it anew"


def assert_whole(chart: str) -> None:
    """Every line is one that is meant, every arrow joins what is there, every label is closed."""
    nodes, frames, arrows = NODE.findall(chart), FRAME.findall(chart), ARROW.findall(chart)
    names = [name for name, _ in [*nodes, *frames]]
    assert len(names) == len(set(names))
    assert {end for arrow in arrows for end in arrow} <= {name for name, _ in nodes}
    ends = len(re.findall(r"^ +end$", chart, re.MULTILINE))
    assert ends == len(frames)
    known = 1 + len(nodes) + len(frames) + ends + len(arrows) + len(CLASS.findall(chart))
    assert known == len(chart.splitlines()), "a line is none of these"
    broken = [label for _, label in [*nodes, *frames] if not LABEL.fullmatch(label)]
    assert not broken
    reached = {"n0"}
    for _ in arrows:
        reached |= {after for before, after in arrows if before in reached}
    assert reached == {name for name, _ in nodes}, "nothing hangs in the air"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(trees.SHAPES)
def test_any_tree_makes_a_whole_chart(tree: Any) -> None:
    body = trees.built(tree, count(1))
    assert_whole(flowchart(Saga("random", version=1, data=trees.Data, body=body)))


HOSTILE = (
    '"];\nn1 --> n2', "`x`", "end", '%%{init: {"theme": "x"}}%%', "<script>alert(1)</script>", "#quot;",
    "1. one", "style x fill:#fff;", "- two",
    "__b__", "((", "|", "\x1b[31m", "\u202eabc", "\u200b", "ﬂ°°35¶ß", "😀", "Größe", "資",
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_name_breaks_a_chart(name: str) -> None:
    named: Node[Any] = each(lambda _data: ["x"], item(name), key=str, item=str, name=name)
    body: Node[Any] = sequence(
        Step(name, Participant(name), do=do, no_undo=name),
        tolerate(named, name=name),
        wait_for(name, int, timeout=None, name=name),
        when(yes, pause_for(length, name=name), name=name),
    )
    chart = flowchart(Saga(name, version=1, data=int, body=body))
    assert_whole(chart)
    assert len(NODE.findall(chart)) == 8


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("reserve-stock", "reserve-stock"),
        ("has_coupon", "has_coupon"),
        ("_private-", "#95;private#45;"),
        ('say "no"', "say #34;no#34;"),
        ("<b>&#35;", "#60;b#62;#38;#35;35#59;"),
        ("a\r\nb\tc", "a  b c"),
        ("\x1b[31m\u202e", "U#43;001B#91;31mU#43;202E"),
        ("Zahlung für Straße", "Zahlung für Stra#223;e"),
        ("😀", "#128512;"),
    ],
)
def test_a_name_is_written_so_that_nothing_is_read_into_it(text: str, label: str) -> None:
    assert written(text) == label


def test_an_instance_can_be_drawn_by_the_shape_that_it_was_begun_with() -> None:
    assert flowchart_of_shape(msgspec.json.decode(shape(ORDER))) == flowchart(ORDER)


def test_what_is_no_shape_is_said() -> None:
    with pytest.raises(KeyError, match="a node with strange is none that can be drawn"):
        flowchart_of_shape({"saga": "x", "version": 1, "body": {"strange": 1}})


def test_the_page_shows_the_order_saga() -> None:
    (chart,) = [block.text for block in page("docs/cli.md").blocks() if block.language == "mermaid"]
    assert chart == flowchart(ORDER), "run: amends diagram examples.order.saga:ORDER"
