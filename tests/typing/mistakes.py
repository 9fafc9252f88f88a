# pyright: strict
"""What a user may get wrong, one mistake a line: none of it may type-check.

Rules: every line that carries the two ignore comments is a mistake, and no other line is. The comments keep
`make check` green, and both checkers complain about one that is not needed; `test_typing.py` takes them out and looks
at what the user would see. Nobody runs this file.
"""

import io
from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from amends import signal_in_transaction, start_in_transaction
from amends.definition import (
    Command,
    RetryPolicy,
    Rollback,
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
from tests.typing.good import (
    Approval,
    Charged,
    Line,
    Order,
    Parcel,
    Redeemed,
    Reserved,
    approve,
    approved,
    charge,
    granted,
    has_coupon,
    hold,
    inventory,
    lines,
    notify,
    orders,
    parcel_of,
    pay_by_card,
    payments,
    place_order,
    promotion,
    redeem,
    refund,
    reserve_stock,
    shipment,
    sku,
    unredeem,
)

# --- functions that are right by themselves -------------------------------------------------------------------------


def undo_data_only(order: Order) -> Command[None]:
    return Command("refund", order.order_id)


def undo_other_reply(order: Order, rollback: Rollback[Redeemed]) -> Command[None]:
    return Command("refund", [order.order_id, rollback.cause.code])


def undo_reply_itself(order: Order, reply: Charged) -> Command[None]:
    return Command("refund", [order.order_id, reply.payment_id])


def undo_returns_nothing(order: Order, rollback: Rollback[Charged]) -> None:
    print(order, rollback)


def sku_number(line: Line) -> int:
    return line.quantity


def totals(order: Order) -> Sequence[int]:
    return [order.total]


def on_line(line: Line) -> bool:
    return line.quantity > 0


def merges_to_line(order: Order, reply: Redeemed) -> Line:
    return Line(order.order_id, reply.redemption_id, 1)


def merges_charged(order: Order, reply: Charged) -> Order:
    print(reply)
    return order


def collects_totals(order: Order, items: Sequence[int]) -> Order:
    print(items)
    return order


def do_returns_payload(order: Order) -> int:
    return order.total


def order_itself(order: Order) -> Order:
    return order


def takes_order(order: Order, child: Order) -> Order:
    print(child)
    return order


def counts(order: Order) -> int:
    return order.total


# --- an undo that forgets None ----------------------------------------------------------------------------------------


def forgets_none(line: Line, rollback: Rollback[Reserved]) -> Command[None]:
    return Command("release", rollback.reply.reservation_id)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


# --- what becomes of a step in a rollback ---------------------------------------------------------------------------

no_undo_at_all = Step("pay", payments, do=charge)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
undo_on_pivot = Step("approve", orders, do=approve, undo=refund, kind="pivot")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
undo_and_reason = Step("pay", payments, do=charge, undo=refund, no_undo="why")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
reason_on_retriable = Step("pay", payments, do=charge, no_undo="why", kind="retriable")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]

# --- values ---------------------------------------------------------------------------------------------------------

misspelt_kind = Step("approve", orders, do=approve, kind="pivots")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
timeout_number = Step("pay", payments, do=charge, undo=refund, timeout=30)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
retry_number = Step("pay", payments, do=charge, undo=refund, retry=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
participant_text = Step("pay", "payments", do=charge, undo=refund)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]

# --- functions of a step --------------------------------------------------------------------------------------------

data_only = Step("pay", payments, do=charge, undo=undo_data_only)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
other_reply = Step("pay", payments, do=charge, undo=undo_other_reply)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
reply_itself = Step("pay", payments, do=charge, undo=undo_reply_itself)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
nothing_back = Step("pay", payments, do=charge, undo=undo_returns_nothing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
undo_other_data = Step("reserve", inventory, do=hold, undo=refund)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
payload_back = Step("pay", payments, do=do_returns_payload, undo=refund)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
command_not_function = Step("pay", payments, do=Command("charge", 1), undo=refund)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
merge_other_type = Step("coupon", promotion, do=redeem, undo=unredeem, merge=merges_to_line)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
merge_other_reply = Step("coupon", promotion, do=redeem, undo=unredeem, merge=merges_charged)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
reply_other_type = Step("coupon", promotion, do=redeem, undo=unredeem, reply=Charged)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- each -----------------------------------------------------------------------------------------------------------

each_wrong_items = each(totals, reserve_stock, key=sku)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
each_wrong_body = each(lines, pay_by_card, key=sku)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
key_number = each(lines, reserve_stock, key=sku_number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
key_of_order = each(lines, reserve_stock, key=has_coupon)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
collect_wrong = each(lines, reserve_stock, key=sku, collect=collects_totals)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- nodes over other data ------------------------------------------------------------------------------------------

foreign_step = sequence(pay_by_card, reserve_stock)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
foreign_branch = parallel(pay_by_card, reserve_stock)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
join_misspelt = parallel(pay_by_card, notify, join="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
predicate_other = when(on_line, pay_by_card)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
predicate_number = when(counts, pay_by_card)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
predicate_value = when("has_coupon", pay_by_card)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
otherwise_other = when(has_coupon, pay_by_card, otherwise=reserve_stock)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
only_when_other = tolerate(pay_by_card, only_when=on_line)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- waits and sub-sagas --------------------------------------------------------------------------------------------

wait_merge = wait_for("approval", Redeemed, timeout=None, merge=approved)  # type: ignore[arg-type,var-annotated]  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
wait_accept = wait_for("approval", Redeemed, timeout=None, accept=granted)  # type: ignore[arg-type,var-annotated]  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
wait_no_timeout = wait_for("approval", Approval, merge=approved)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
pause_number = pause_for(30)  # type: ignore[arg-type,var-annotated]  # pyright: ignore[reportArgumentType, reportUnknownVariableType]
subsaga_data = subsaga(shipment, data=order_itself)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
subsaga_merge = subsaga(shipment, data=parcel_of, merge=takes_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- the saga -------------------------------------------------------------------------------------------------------

saga_data = Saga("place-order", version=1, data=Parcel, body=pay_by_card)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
saga_body = Saga("place-order", version=1, data=Order, body=[pay_by_card])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
saga_version = Saga("place-order", version="1", data=Order, body=pay_by_card)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
saga_no_version = Saga("place-order", data=Order, body=pay_by_card)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUnknownVariableType]
rollback_undo = on_rollback("cancel", orders, undo=undo_data_only)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
rollback_reads_reply = on_rollback("cancel", orders, undo=refund)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
policy_misspelt = RetryPolicy(backoff="quadratic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
own_node = sequence(pay_by_card, charge)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# --- in the caller's transaction ------------------------------------------------------------------------------------


def other_data(parcel: Parcel, connection: "psycopg.Connection[Any]", session: Session) -> None:
    start_in_transaction(connection, place_order, parcel)  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    start_in_transaction(session, place_order, "o-1")  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]


def no_connection(order: Order, file: io.StringIO) -> None:
    start_in_transaction(file, place_order, order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    signal_in_transaction(file, "o-1", "approval")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def not_awaited(order: Order, session: AsyncSession) -> str:
    return start_in_transaction(session, place_order, order)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
