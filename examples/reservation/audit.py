"""The audit: who reserved what, what was paid and what was given back, rebuilt from the sagas' event streams alone.

    ledgers = [rebuild(saga_id, events) for saga_id, events in streams.items()]
    ledger.at(7)                        how it stood after seven events
    ledger.reserved, ledger.paid        how it stands
    discrepancies(ledgers, world)       where the services' own databases say otherwise
    told(ledger)                        the audit of one saga, line by line

Rules:
- It reads facts: which command went out, and what its participant answered. It calls no function of the saga, and asks
  neither the engine nor a service how things stand.
- A do counts from the reply that says so, and until its undo is confirmed. A do without an answer is a *doubt*: it may
  have happened; the confirmation of its undo settles that.
- Where the services know something that no stream explains, or the other way round, that is a discrepancy, in words.

Does not do: open the store (`examples.reservation.streams`), or repair anything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from amends.application.history import EventView
from examples.reservation.messages import (
    CancelReservation,
    Charge,
    Charged,
    ConfirmReservation,
    OpenReservation,
    ProductReserved,
    Refund,
    ReleaseProduct,
    ReservationConfirmed,
    ReserveProduct,
)
from examples.reservation.world import World
from examples.running.money import ZERO

Payload: TypeAlias = (
    OpenReservation
    | CancelReservation
    | ConfirmReservation
    | ReserveProduct
    | ReleaseProduct
    | Charge
    | Refund
)
PAYLOADS: Mapping[str, type[Payload]] = {
    "open-reservation": OpenReservation,
    "cancel-reservation": CancelReservation,
    "confirm-reservation": ConfirmReservation,
    "reserve-product": ReserveProduct,
    "release-product": ReleaseProduct,
    "charge": Charge,
    "refund": Refund,
}
"""What each command of the saga says."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the ledger: something that is certain, from this event of the stream on.

    `reference` is the service's own id for it, where it gave one. `effect`: an undo whose do had not happened for all
    that the stream knows proves that nothing is there, and takes nothing back.
    """

    position: int
    time: datetime
    payload: Payload
    reference: str = ""
    effect: bool = True
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a reservation stands after some entries of its ledger."""

    customer: str = ""
    status: str = ""
    reserved: Mapping[str, int] = field(default_factory=dict[str, int])
    charged: Decimal = ZERO
    refunded: Decimal = ZERO

    @property
    def paid(self) -> Decimal:
        """What the customer is charged for in the end."""
        return self.charged - self.refunded


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the stream of one saga proves."""

    saga_id: str
    events: int
    entries: tuple[Entry, ...]
    doubts: Mapping[str, Payload]
    """By step: what may or may not be there, because its do was never answered and its undo never confirmed."""

    def at(self, position: int) -> Standing:
        """How it stood after so many events; 0 is before the first."""
        standing = Standing()
        for entry in self.entries:
            if entry.position <= position:
                standing = _booked(standing, entry)
        return standing

    @property
    def now(self) -> Standing:
        """How it stands after the last event."""
        return self.at(self.events)


# --- rebuilding -------------------------------------------------------------------------------------------------


Direction: TypeAlias = Literal["do", "undo"]


@dataclass
class _Rebuilding:
    """One stream, half read."""

    issued: dict[tuple[str, Direction, int], Payload] = field(
        default_factory=dict[tuple[str, Direction, int], Payload]
    )
    done: set[str] = field(default_factory=set[str])
    doubts: dict[str, Payload] = field(default_factory=dict[str, Payload])
    entries: list[Entry] = field(default_factory=list[Entry])

    def read(self, event: EventView) -> None:
        body = event.body
        match event.type:
            case "CommandIssued":
                key = _key(body)
                self.issued[key] = msgspec.convert(body["payload"], PAYLOADS[body["name"]])
            case "ReplyRecorded" | "StepResolved":
                self.answered(event)
            case "OutcomeUnknown":
                self.doubts[body["step"]] = self.issued[body["step"], "do", 1]
            case _:
                pass

    def answered(self, event: EventView) -> None:
        """Its participant, or a person in its place, said what became of a command."""
        step, direction, _ = key = _key(event.body)
        match direction, event.body.get("outcome", "succeeded"):
            case _, "succeeded":
                self.happened(event, key)
            case "do", "refused":
                self.doubts.pop(step, None)
            case "do", _:
                # The binding knows no confirmations.
                self.doubts[step] = self.issued[key]
            case _:
                pass

    def happened(self, event: EventView, key: tuple[str, Direction, int]) -> None:
        """A do happened, or an undo was confirmed."""
        step, direction, _ = key
        payload = self.issued[key]
        effect = direction == "do" or step in self.done
        (self.done.add if direction == "do" else self.done.discard)(step)
        self.doubts.pop(step, None)
        entry = Entry(
            position=event.position,
            time=event.time,
            payload=payload,
            reference=_reference(payload, event.body.get("reply")),
            effect=effect,
            late=event.body.get("late", False),
        )
        self.entries.append(entry)


def _key(body: Mapping[str, Any]) -> tuple[str, Direction, int]:
    return body["step"], body.get("direction", "do"), body.get("round", 1)


def _reference(payload: Payload, reply: object) -> str:
    match payload:
        case ReserveProduct():
            return msgspec.convert(reply, ProductReserved).hold_id
        case Charge():
            return msgspec.convert(reply, Charged).payment_id
        case ConfirmReservation():
            return msgspec.convert(reply, ReservationConfirmed).confirmation_id
        case _:
            return ""


def rebuild(saga_id: str, events: Iterable[EventView]) -> Ledger:
    """Read one stream from its first event to its last.

    Raises:
        ValueError: it is no stream of the reservation saga, or not a whole one.
    """
    rebuilding = _Rebuilding()
    last = 0
    for event in events:
        if event.position != last + 1:
            message = f"the stream of {saga_id} has position {event.position} after {last}"
            raise ValueError(message)
        last = event.position
        try:
            rebuilding.read(event)
        except (KeyError, msgspec.MsgspecError) as error:
            message = f"position {last} of {saga_id} is none of the reservation saga: {error}"
            raise ValueError(message) from error
    return Ledger(saga_id=saga_id, events=last, entries=tuple(rebuilding.entries), doubts=rebuilding.doubts)


def _booked(before: Standing, entry: Entry) -> Standing:
    """The standing after one more entry."""
    held = dict(before.reserved)
    status, charged, refunded, customer = before.status, before.charged, before.refunded, before.customer
    match entry.payload:
        case OpenReservation(customer=customer):
            status = "OPEN"
        case ConfirmReservation():
            status = "CONFIRMED"
        case CancelReservation(status=ended):
            status = ended
        case ReserveProduct(product=product, quantity=quantity):
            held[product] = held.get(product, 0) + quantity
        case ReleaseProduct(product=product):
            held.pop(product, None)
        case Charge(amount=amount):
            charged += amount
        case Refund(amount=amount) if entry.effect:
            refunded += amount
        case _:
            pass
    return Standing(customer=customer, status=status, reserved=held, charged=charged, refunded=refunded)


# --- comparing --------------------------------------------------------------------------------------------------


def discrepancies(ledgers: Sequence[Ledger], world: World) -> Iterator[str]:
    """Tell where the streams and the services' databases do not say the same; nothing when they do."""
    for ledger in ledgers:
        yield from (f"{ledger.saga_id}: {wrong}" for wrong in _of_one(ledger, world))
    known = {ledger.saga_id for ledger in ledgers}
    found = {entry.reservation_id for entry in world.holds} | {
        entry.reservation_id for entry in world.movements
    }
    for saga_id in sorted(found | {entry.reservation_id for entry in world.reservations}):
        if saga_id not in known:
            yield f"{saga_id}: the services know it, but there is no stream of it"


def _of_one(ledger: Ledger, world: World) -> Iterator[str]:
    now = ledger.now
    for step in ledger.doubts:
        yield f"nobody knows what became of {step}"
    kept = next((row.status for row in world.reservations if row.reservation_id == ledger.saga_id), "")
    # What was never heard to be open may have been cancelled without ever being there.
    if kept != now.status and (kept or now.customer):
        yield f"the stream says {now.status or 'nothing'}, the reservations service {kept or 'nothing'}"
    held: Counter[str] = Counter()
    for row in world.holds:
        if (row.reservation_id, row.state) == (ledger.saga_id, "held"):
            held[row.product] += row.quantity
    for product in sorted({*held, *now.reserved}):
        if held[product] != (ours := now.reserved.get(product, 0)):
            yield f"the stream has {ours} of {product} reserved, the products service {held[product]}"
    yield from _money_of_one(ledger, world)
    yield from _references(ledger, world)


def _money_of_one(ledger: Ledger, world: World) -> Iterator[str]:
    movements = [row for row in world.movements if row.reservation_id == ledger.saga_id]
    net = sum((row.taken for row in movements), ZERO)
    if net != ledger.now.paid:
        yield f"the stream has {ledger.now.paid} paid, the payments service {net}"


def _references(ledger: Ledger, world: World) -> Iterator[str]:
    """Each id that a reply gave must be the service's id for just that."""
    holds = {(row.hold_id, row.reservation_id, row.product, row.quantity) for row in world.holds}
    charges = {
        (row.movement_id, row.reservation_id, row.account, row.amount)
        for row in world.movements
        if row.kind == "charge"
    }
    for entry in ledger.entries:
        match entry.payload:
            case ReserveProduct(reservation_id=owner, product=product, quantity=quantity):
                is_known = (entry.reference, owner, product, quantity) in holds
            case Charge(reservation_id=owner, account=account, amount=amount):
                is_known = (entry.reference, owner, account, amount) in charges
            case _:
                continue
        if not is_known:
            yield f"position {entry.position}: {_words(entry)}, which the service does not know"


# --- in words ---------------------------------------------------------------------------------------------------


def told(ledger: Ledger) -> str:
    """The audit of one saga, one line for each thing that became certain, with position and seconds since the first."""
    if not ledger.entries:
        return f"{ledger.saga_id}: nothing ever happened ({ledger.events} events)"
    began = ledger.entries[0].time
    lines = [
        f"  {entry.position:>3}  +{(entry.time - began).total_seconds():.2f} s  {_words(entry)}"
        for entry in ledger.entries
    ]
    return "\n".join([f"{ledger.saga_id}, {ledger.events} events:", *lines])


def _words(entry: Entry) -> str:
    reference = f" ({entry.reference})" if entry.reference else ""
    late = ", said late" if entry.late else ""
    none = "" if entry.effect else ": nothing was there, for all that was answered"
    return f"{_deed(entry.payload)}{reference}{late}{none}"


def _deed(payload: Payload) -> str:
    match payload:
        case OpenReservation(customer=customer):
            return f"opened for {customer}"
        case CancelReservation(status=status):
            return f"cancelled as {status}"
        case ConfirmReservation():
            return "confirmed"
        case ReserveProduct(product=product, quantity=quantity):
            return f"reserved {quantity} of {product}"
        case ReleaseProduct(product=product, quantity=quantity):
            return f"released {quantity} of {product}"
        case Charge(account=account, amount=amount):
            return f"charged {amount} to {account}"
        case Refund(account=account, amount=amount):
            return f"gave {amount} back to {account}"
