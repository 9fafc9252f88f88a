"""Does it all add up? The demo's verdict, from the three services' `GET /state`, the sagas' streams and the cases.

    verdict = check(cases, {"reservations": …, "products": …, "payments": …, "streams": …})

Rules:
- A pure function over the documents: it asks no service and trusts no engine.
- `streams` is what `examples.reservation.streams` reads; all checks but the audit do without.
- It may be asked only when every saga has ended.
- The services do not protect themselves against a repeated command (the barrier does), so an effect that happened twice
  is visible here.

Does not do: ask how the engine calls the end of a saga; that is for those who know the engine.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from amends.application.history import EventView
from examples.reservation.audit import Ledger, discrepancies, rebuild, told
from examples.reservation.messages import Reservation
from examples.reservation.world import World, world_of
from examples.running.cases import Case
from examples.running.example import States, Topic
from examples.running.money import ZERO
from examples.running.verdict import Verdict, repeated

Cases = Sequence[Case[Reservation]]

NOT_ADMITTED = ("", "CANCELLED")
"""As what the service may keep a reservation that was not admitted: not at all, or opened unheard and cancelled."""


def check(cases: Cases, states: States) -> Verdict:
    """Compare what the services hold with what the cases expect, and with what the streams prove."""
    world = world_of(states)
    return Verdict.of(
        {
            "reservation-statuses": _statuses(cases, world),
            "reservation-transitions": _transitions(world),
            "stock-adds-up": _stock(world),
            "reserved-for-confirmed-only": _reserved(cases, world),
            "money-adds-up": _money(world),
            "charged-exactly": _charged(cases, world),
            "every-effect-once": _once(world),
            "audit-agrees": _audit(cases, states, world),
        }
    )


def _statuses(cases: Cases, world: World) -> Iterator[str]:
    found = {entry.reservation_id: entry.status for entry in world.reservations}
    for case in cases:
        reservation_id, expected = case.given.reservation_id, case.expect.business_status
        status = found.get(reservation_id, "")
        if status not in (NOT_ADMITTED if expected == "NOT_ADMITTED" else (expected,)):
            yield f"{reservation_id} is {status or 'unknown'}, expected {expected} ({case.about})"


def _transitions(world: World) -> Iterator[str]:
    for kept in world.reservations:
        steps = [entry.status for entry in world.transitions if entry.reservation_id == kept.reservation_id]
        if steps != ["OPEN", kept.status]:
            yield f"{kept.reservation_id} went {' > '.join(steps)}, expected OPEN > {kept.status}"


def _stock(world: World) -> Iterator[str]:
    held: Counter[str] = Counter()
    for hold in world.holds:
        held[hold.product] += hold.quantity if hold.state == "held" else 0
    for stock in world.products:
        if stock.pieces != stock.free + held[stock.product]:
            yield (
                f"there are {stock.pieces} of {stock.product}, but {stock.free} free "
                f"and {held[stock.product]} reserved make {stock.free + held[stock.product]}"
            )


def _reserved(cases: Cases, world: World) -> Iterator[str]:
    held: Counter[tuple[str, str]] = Counter()
    for hold in world.holds:
        if hold.state == "held":
            held[hold.reservation_id, hold.product] += hold.quantity
    expected = Counter(
        {
            (case.given.reservation_id, item.product): item.quantity
            for case in cases
            if case.is_completed
            for item in case.given.items
        }
    )
    for key in sorted(held.keys() | expected.keys()):
        if held[key] != expected[key]:
            yield f"{key[0]} has {held[key]} of {key[1]} reserved, expected {expected[key]}"


def _money(world: World) -> Iterator[str]:
    for account in world.accounts:
        taken = sum((entry.taken for entry in world.movements if entry.account == account.account), ZERO)
        if account.initial != account.balance + taken:
            yield (
                f"{account.account} began with {account.initial}, but {account.balance} left "
                f"and {taken} taken make {account.balance + taken}"
            )


def _charged(cases: Cases, world: World) -> Iterator[str]:
    taken: dict[tuple[str, str], Decimal] = {}
    for entry in world.movements:
        key = entry.reservation_id, entry.account
        taken[key] = taken.get(key, ZERO) + entry.taken
    for case in cases:
        wanted = case.given
        paid = taken.pop((wanted.reservation_id, wanted.account), ZERO)
        due = wanted.total if case.is_completed else ZERO
        if paid != due:
            yield f"{wanted.reservation_id} was charged {paid}, expected {due}"
    for (reservation_id, account), paid in taken.items():
        if paid != ZERO:
            yield f"{reservation_id} was charged {paid} to {account}, which nobody ordered"


def _once(world: World) -> Iterator[str]:
    yield from repeated((f"reserve {hold.product}", hold.reservation_id) for hold in world.holds)
    yield from repeated((entry.kind, entry.reservation_id) for entry in world.movements)
    yield from repeated((f"become {entry.status}", entry.reservation_id) for entry in world.transitions)


# --- the audit --------------------------------------------------------------------------------------------------


def ledgers_of(states: States) -> tuple[Ledger, ...]:
    """What the streams prove, saga by saga; ValueError for a stream that cannot be one of the saga's."""
    streams = msgspec.convert(states["streams"], dict[str, list[EventView]])
    return tuple(rebuild(saga_id, events) for saga_id, events in streams.items())


def _audit(cases: Cases, states: States, world: World) -> Iterator[str]:
    try:
        ledgers = ledgers_of(states)
    except ValueError as error:
        yield str(error)
        return
    yield from discrepancies(ledgers, world)
    audited = {ledger.saga_id for ledger in ledgers}
    for case in cases:
        if case.given.reservation_id not in audited:
            yield f"{case.given.reservation_id}: there is no stream of it"


# --- in words ---------------------------------------------------------------------------------------------------


def _stock_well(states: States) -> str:
    held = sum(stock.pieces - stock.free for stock in world_of(states).products)
    what = "1 piece is" if held == 1 else f"{held} pieces are"
    return f"Stock adds up: {what} reserved, all for confirmed reservations; everything else is free."


def _money_well(states: States) -> str:
    taken = sum((account.initial - account.balance for account in world_of(states).accounts), ZERO)
    return f"Money adds up: {taken} left the accounts, exactly what the confirmed reservations cost."


def _went_well(_: States) -> str:
    return "Each reservation went through what it should, and nothing happened twice."


def _audit_well(states: States) -> str:
    ledgers = ledgers_of(states)
    events = sum(ledger.events for ledger in ledgers)
    longest = max(ledgers, key=lambda ledger: len(ledger.entries))
    summary = (
        f"The audit agrees: {len(ledgers)} streams with {events} events, read from the first to the last, "
        "give what the services hold. For example"
    )
    return f"{summary} {told(longest)}"


TOPICS = (
    Topic(
        subject="Stock does",
        checks=("stock-adds-up", "reserved-for-confirmed-only"),
        well=_stock_well,
    ),
    Topic(subject="Money does", checks=("money-adds-up", "charged-exactly"), well=_money_well),
    Topic(
        subject="What the reservations went through does",
        checks=("reservation-statuses", "reservation-transitions", "every-effect-once"),
        well=_went_well,
    ),
    Topic(subject="The audit does", checks=("audit-agrees",), well=_audit_well),
)
