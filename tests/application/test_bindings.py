"""Bindings: by participant, and for one saga alone."""

import msgspec
import pytest

from amends import Command, Orchestrator, Participant, Saga, Step, local, memory
from amends.application.bindings import binding_of


class Order(msgspec.Struct, frozen=True):
    number: str


def pay(order: Order) -> Command[str]:
    return Command("pay", order)


def paying(name: str) -> "Saga[Order]":
    step: Step[Order, str] = Step("pay", Participant("payment"), do=pay, no_undo="it is a test")
    return Saga(name, version=1, data=Order, body=step)


async def _first(order: Order) -> str:
    return "the general one"


async def _second(order: Order) -> str:
    return "its own"


async def test_a_binding_for_one_saga_wins_and_serves_no_other() -> None:
    shop, club = paying("shop"), paying("club")
    participants = {"payment": local({"pay": _first}), "club/payment": local({"pay": _second})}
    async with Orchestrator(sagas=[shop, club], store=memory(), participants=participants) as amends:
        paid = [await amends.run(saga, Order("1"), saga_id=saga.name) for saga in (shop, club)]
        assert [view.steps[0].reply for view in paid] == ["the general one", "its own"]
        assert [participant.name for participant in amends.participants] == ["club/payment", "payment"]


async def test_a_saga_of_its_own_binding_needs_no_general_one() -> None:
    bound = {"club/payment": local({"pay": _second})}
    async with Orchestrator(sagas=[paying("club")], store=memory(), participants=bound) as amends:
        view = await amends.run(paying("club"), Order("1"))
        assert view.steps[0].reply == "its own"


def test_a_binding_of_another_saga_does_not_help() -> None:
    bound = {"club/payment": local({"pay": _second})}
    with pytest.raises(ValueError, match=r"no binding for participant\(s\) payment"):
        Orchestrator(sagas=[paying("shop")], store=memory(), participants=bound)


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ((), None),
        (("payment",), "payment"),
        (("shop/payment",), "shop/payment"),
        (("payment", "shop/payment"), "shop/payment"),
        (("payment", "club/payment"), "payment"),
        (("shop",), None),
    ],
)
def test_which_binding_serves(bound: tuple[str, ...], found: str | None) -> None:
    assert binding_of("shop", "payment", bound) == found
