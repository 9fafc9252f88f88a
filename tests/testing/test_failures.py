"""What a test is told when the saga does something else: whole texts, and what each kind of mistake names."""

from collections.abc import Callable
from datetime import timedelta
from textwrap import dedent

import pytest

from amends import Saga, Step, wait_for
from amends.testing import Scenario, ScenarioFailed, given
from tests.testing.sagas import (
    APPROVAL,
    BESIDE,
    FULFIL,
    INVENTORY,
    Charge,
    Decision,
    Order,
    Paid,
    Release,
    Reserved,
    reserve,
)

PLACED = Order()


def failure(story: Callable[[], object]) -> str:
    with pytest.raises(ScenarioFailed) as caught:
        story()
    return "\n".join(line.rstrip() for line in str(caught.value).splitlines()) + "\n"


def headline(story: Callable[[], object]) -> str:
    return failure(story).partition("\n\nSo far")[0]


def reserved() -> Scenario[Order]:
    return given(FULFIL, PLACED).expect("reserve-stock").replies(Reserved("R-1"))


def test_a_payload_that_differs_is_shown_as_a_difference() -> None:
    assert failure(lambda: reserved().expect("pay", "charge", Charge("order-1", 5000))) == dedent("""\
        pay: another command went out (- expected, + sent)
            charge
            {
          -   "cents": 5000,
          +   "cents": 4990,
              "order": "order-1"
            }

        So far, fulfil-order version 1:
          +0 s       start {"id":"order-1","sku":"sku-7","cents":4990,"payment":""}
                     [WAITING_STOCK]
                     --> inventory: reserve-stock  reserve {"order":"order-1","sku":"sku-7"}
                     <-- reserve-stock replies {"reservation":"R-1"}
                     --> payments: pay  charge {"order":"order-1","cents":4990}

        Status: running, WAITING_STOCK
        Outstanding:
          pay at payments, times out at +30 s, not expected yet
        """)


def test_an_unexpected_command_is_a_failure_at_once() -> None:
    def story() -> None:
        (
            reserved()
            .expect("pay").fails("broken line")
            .expect("pay").no_answer()
            .compensated()
        )  # fmt: skip

    assert failure(story) == dedent("""\
        compensated: a command went out that was not expected
          unexpected  undo pay  refund {"order":"order-1","cents":4990}

        So far, fulfil-order version 1:
          +0 s       start {"id":"order-1","sku":"sku-7","cents":4990,"payment":""}
                     [WAITING_STOCK]
                     --> inventory: reserve-stock  reserve {"order":"order-1","sku":"sku-7"}
                     <-- reserve-stock replies {"reservation":"R-1"}
                     --> payments: pay  charge {"order":"order-1","cents":4990}
                     <-- pay fails: broken line (transient)
                     pay is tried again at +1 s
          +1 s       --> payments: pay (attempt 2)  charge {"order":"order-1","cents":4990}
                     ... pay: no answer
          +31 s      pay is given up, its outcome is unknown
                     the saga turns round because of 'unknown' of pay
                     [PAYMENT_FAILED]
                     [compensating]
                     --> payments: undo pay  refund {"order":"order-1","cents":4990}

        Status: compensating, PAYMENT_FAILED
        Outstanding:
          undo pay at payments, times out at +1 min 1 s, not expected yet
        """)


def test_another_command_than_the_expected_one() -> None:
    assert headline(lambda: reserved().expect("ship")) == dedent("""\
        expected ship; pay went out
          missing     ship
          unexpected  pay  charge {"order":"order-1","cents":4990}""")


def test_one_of_two_parallel_commands() -> None:
    assert headline(lambda: given(BESIDE, PLACED).expect("pay")) == dedent("""\
        expected pay; reserve-stock, pay went out
          unexpected  reserve-stock  reserve {"order":"order-1","sku":"sku-7"}""")


def test_a_command_that_went_out_before() -> None:
    assert headline(lambda: reserved().expect("pay").answers_later().expect("pay")) == dedent("""\
        expected pay; nothing went out
          missing     pay, which went out before; answer it with on("pay")""")


def test_a_missing_command_says_how_its_step_stands() -> None:
    story = given(BESIDE, PLACED).expect_all("reserve-stock", "pay").on("pay").refuses("declined")
    assert headline(lambda: story.expect("undo pay")) == dedent("""\
        expected undo pay; nothing went out
          missing     undo pay""")
    assert "  missing     pay: pay is refused (declined)" in headline(lambda: story.expect("pay"))
    assert headline(lambda: story.on("pay")) == "pay is not outstanding: pay is refused (declined)"


def test_an_end_with_something_outstanding() -> None:
    story = given(FULFIL, PLACED).expect("reserve-stock").answers_later()
    assert headline(story.nothing_outstanding) == "expected nothing to be outstanding"
    assert headline(story.completed) == "status: expected completed, it is running"
    assert "  reserve-stock at inventory, times out at +30 s\n" in failure(story.compensated)


def sent() -> Scenario[Order]:
    """The payment went out and is not answered yet."""
    return reserved().expect("pay").answers_later()


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (lambda: reserved().expect("pay").replies("P-1"), "pay: this reply cannot be read as the step's do says"),
        (lambda: reserved().status("stuck"), "status: expected stuck, it is running"),
        (lambda: reserved().business_status("PAID"), "business status: expected PAID, it is WAITING_STOCK"),
        (lambda: reserved().data(Order(payment="P-1")), '-   "payment": "P-1",'),
        (lambda: reserved().undone("pay"), "undone: other steps, or in another order (- expected, + found)\n  - pay"),
        (lambda: reserved().contradicted("pay"), "contradicted: other steps"),
        (lambda: sent().late("ship"), "ship never went out, so there is no late answer to it"),
        (lambda: sent().late("pay"), 'answer it with on("pay")'),
        (lambda: sent().stuck_at("pay"), "stuck: other steps"),
        (lambda: sent().waits_for("approve"), "waited for is: no signal"),
        (lambda: given(FULFIL, PLACED).duplicate(), "there is no answer yet that could be doubled"),
        (lambda: reserved().expect("pay").fails(attempts=3), "pay: 3 attempts were expected, it ended with number 2"),
        (
            lambda: sent().signal("approve"),
            "signal approve null: the rules forbid it (unknown-signal)",
        ),
        (
            lambda: sent().cancel(rejected="ended"),
            "cancel: expected to be rejected as ended, but it was accepted",
        ),
        (
            lambda: sent().skip("pay", rejected="ended"),
            "skip pay: expected to be rejected as ended, but it is not-stuck",
        ),
        (
            lambda: sent().pause().on("pay").no_answer(),
            "pay: it did not time out, the saga is paused",
        ),
        (
            lambda: given(APPROVAL, PLACED)
            .expect("reserve-stock").replies(Reserved("R-1"))
            .after(timedelta(days=20)),
            "after +20 d, already at +14 d: a command went out that was not expected",
        ),
    ],
)  # fmt: skip
def test_what_a_mistake_names(story: Callable[[], object], said: str) -> None:
    assert said in failure(story)


def test_a_function_that_raises_is_in_the_transcript() -> None:
    def broken(_order: Order, _decision: Decision) -> Order:
        raise LookupError("no such customer")

    saga = Saga("broken", version=1, data=Order, body=wait_for("go", Decision, timeout=None, merge=broken))
    text = failure(lambda: given(saga, PLACED).signal("go", Decision("ann")).completed())
    assert "merge of go raised LookupError: no such customer" in text


def test_a_payload_of_another_type_is_compared_as_json() -> None:
    step = Step("reserve", INVENTORY, do=reserve, no_undo="it lapses")
    saga = Saga("plain", version=1, data=Order, body=step)
    given(saga, PLACED).expect("reserve", "reserve", {"sku": "sku-7", "order": "order-1"})
    assert '-   "reservation": null' in failure(
        lambda: given(saga, PLACED).expect("reserve", "reserve", Release("order-1", None))
    )


def test_nothing_else_may_happen_while_a_command_is_not_expected() -> None:
    story = reserved().expect("pay").replies(Paid("P-1"))
    assert headline(lambda: story.stuck_at("pay")).startswith("stuck_at: a command went out")
    assert headline(story.cancel).startswith("cancel: a command went out")
