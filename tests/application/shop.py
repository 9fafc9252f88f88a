"""The small shop that most engine tests run: reserve, pay, ship; two participants in this process.

Rules: real handlers behind the real local transport; a test changes what a command does by `Shop.on`. Every call is
noted. It does not: sleep, or know the engine.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from amends import (
    Command,
    Participant,
    Refuse,
    RetryPolicy,
    Rollback,
    Saga,
    Step,
    local,
    pause_for,
    sequence,
    wait_for,
)
from amends.core.effect import SendCommand
from amends.ports import Transport

STOCK = Participant("stock")
BANK = Participant("bank")
QUICK = RetryPolicy(attempts=3, first=timedelta(milliseconds=1), jitter=0)


class Order(msgspec.Struct, frozen=True):
    sku: str = "sku-1"
    amount: int = 10
    payment: str = ""


class Item(msgspec.Struct, frozen=True):
    sku: str


class Amount(msgspec.Struct, frozen=True):
    amount: int


class Paid(msgspec.Struct, frozen=True):
    payment: str


class Word(msgspec.Struct, frozen=True):
    word: str = "yes"


def reserve(order: Order) -> Command[None]:
    return Command("reserve", Item(order.sku))


def release(order: Order, _rollback: Rollback[None]) -> Command[None]:
    return Command("release", Item(order.sku))


def pay(order: Order) -> Command[Paid]:
    return Command("pay", Amount(order.amount))


def refund(order: Order, _rollback: Rollback[Paid]) -> Command[None]:
    return Command("refund", Amount(order.amount))


def paid(order: Order, reply: Paid) -> Order:
    return Order(order.sku, order.amount, reply.payment)


def ship(order: Order) -> Command[None]:
    return Command("ship", Item(order.sku))


reserving = Step("reserve", STOCK, do=reserve, undo=release, retry=QUICK, undo_retry=QUICK)
paying = Step("pay", BANK, do=pay, undo=refund, merge=paid, retry=QUICK, undo_retry=QUICK)
shipping = Step("ship", STOCK, do=ship, kind="retriable", retry=QUICK)

FULFIL = Saga("fulfil", version=1, data=Order, body=sequence(reserving, paying, shipping))
APPROVED = Saga(
    "approved",
    version=1,
    data=Order,
    body=sequence(reserving, wait_for("approve", Word, timeout=timedelta(days=30)), shipping),
)
FOR_EVER = Saga("for-ever", version=1, data=Order, body=wait_for("go", Word, timeout=None))
LATER = Saga(
    "later",
    version=1,
    data=Order,
    deadline=timedelta(days=90),
    body=sequence(pause_for(timedelta(days=7)), shipping),
)
SAGAS = (FULFIL, APPROVED, FOR_EVER, LATER)

Handler = Callable[[SendCommand], "object | Awaitable[object]"]


@dataclass
class Shop:
    """Two participants whose commands can be told to misbehave."""

    calls: list[SendCommand] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    handlers: dict[str, Handler] = field(default_factory=dict)

    def on(self, command: str, handler: Handler) -> None:
        """Have `handler` answer `command` from now on."""
        self.handlers[command] = handler

    def refuse(self, command: str, code: str = "no") -> None:
        def refusing(_command: SendCommand) -> object:
            raise Refuse(code, f"{command} is refused")

        self.on(command, refusing)

    def named(self, command: str) -> list[SendCommand]:
        """Return the calls of one command."""
        return [call for call in self.calls if call.name == command]

    @property
    def names(self) -> list[str]:
        """Return what was called, in order."""
        return [call.name for call in self.calls]

    def bindings(self) -> dict[str, Transport]:
        """Return the participants' transports."""
        return {
            "stock": local({name: self._handler(name, None) for name in ("reserve", "release", "ship")}),
            "bank": local(
                {"pay": self._handler("pay", Paid("p-1")), "refund": self._handler("refund", None)}
            ),
        }

    def _handler(self, name: str, usual: object) -> Callable[[object, SendCommand], Awaitable[object]]:
        async def handle(_payload: object, command: SendCommand) -> object:
            self.calls.append(command)
            handler = self.handlers.get(name)
            answer = usual if handler is None else handler(command)
            if isinstance(answer, Awaitable):
                answer = await answer
            self.done[name] += 1
            return answer

        return handle
