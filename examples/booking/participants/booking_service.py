"""The booking service: the bookings that customers made, and how each of them ended.

    POST /bookings      make a booking (the same booking again: 200 instead of 201; another one of that id: 409)
    GET  /bookings      all of them;  GET /bookings/{bookingId}  one of them

Rules:
- A booking is CREATED before its saga begins; the saga confirms or cancels it. Every change of status is kept.
- A booking that has ended is neither confirmed nor cancelled.
"""

import sqlite3
import sys
from http import HTTPStatus

import msgspec
from aiohttp import web

from amends.participant import Command, Database, Refused, Succeeded, do, undo_only
from amends.participant.handlers import handlers
from amends.participant.http import problem
from amends.participant.sqlite_ledger import write_transaction
from examples.booking.messages import (
    BookingCancelled,
    BookingConfirmed,
    BookingCreated,
    BookingStatus,
    CancelBooking,
    ConfirmBooking,
)
from examples.booking.seed import Seed
from examples.running.process import Service, json_response, read_json, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS booking (
    booking_id TEXT PRIMARY KEY,
    document   BLOB NOT NULL,
    status     TEXT NOT NULL,
    total      TEXT,
    reason     TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS transition (
    position   INTEGER PRIMARY KEY AUTOINCREMENT,
    booking_id TEXT NOT NULL REFERENCES booking (booking_id),
    status     TEXT NOT NULL
) STRICT;
"""
_BECOME = """
UPDATE booking SET status = ?, total = coalesce(?, total), reason = coalesce(?, reason) WHERE booking_id = ?
"""
_BOOKINGS = """
SELECT booking_id, status, total, reason, document FROM booking
WHERE ? IS NULL OR booking_id = ? ORDER BY booking_id
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    """No booking exists before the first."""


def create(connection: sqlite3.Connection, booking: BookingCreated) -> HTTPStatus:
    """Keep the booking, once."""
    document = msgspec.json.encode(booking)
    with write_transaction(connection):
        row = connection.execute(
            "SELECT document FROM booking WHERE booking_id = ?", (booking.booking_id,)
        ).fetchone()
        if row is not None:
            return HTTPStatus.OK if row[0] == document else HTTPStatus.CONFLICT
        connection.execute(
            "INSERT INTO booking (booking_id, document, status) VALUES (?, ?, '')",
            (booking.booking_id, document),
        )
        _become(connection, booking.booking_id, "CREATED")
        return HTTPStatus.CREATED


def confirm(
    connection: sqlite3.Connection, _: Command, confirmed: ConfirmBooking
) -> Succeeded[BookingConfirmed] | Refused:
    refused = _refused(connection, confirmed.booking_id)
    if refused is not None:
        return refused
    _become(connection, confirmed.booking_id, "CONFIRMED", total=str(confirmed.total))
    return Succeeded(BookingConfirmed())


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelBooking
) -> Succeeded[BookingCancelled] | Refused:
    refused = _refused(connection, cancelled.booking_id)
    if refused is not None:
        return refused
    _become(connection, cancelled.booking_id, "CANCELLED", reason=cancelled.reason)
    return Succeeded(BookingCancelled())


def _refused(connection: sqlite3.Connection, booking_id: str) -> Refused | None:
    row = connection.execute("SELECT status FROM booking WHERE booking_id = ?", (booking_id,)).fetchone()
    if row is None:
        return Refused("unknown-booking", f"there is no booking {booking_id}")
    if row[0] != "CREATED":
        return Refused("not-open", f"booking {booking_id} is {row[0]} already")
    return None


def _become(
    connection: sqlite3.Connection,
    booking_id: str,
    status: BookingStatus,
    *,
    total: str | None = None,
    reason: str | None = None,
) -> None:
    connection.execute(_BECOME, (status, total, reason, booking_id))
    connection.execute("INSERT INTO transition (booking_id, status) VALUES (?, ?)", (booking_id, status))


def state(connection: sqlite3.Connection) -> dict[str, object]:
    transitions = connection.execute("SELECT booking_id, status FROM transition ORDER BY position")
    return {
        "bookings": _bookings(connection),
        "transitions": [{"bookingId": row[0], "status": row[1]} for row in transitions],
    }


def _bookings(connection: sqlite3.Connection, *, booking_id: str | None = None) -> list[dict[str, object]]:
    return [
        {
            "bookingId": row[0],
            "status": row[1],
            "total": row[2],
            "reason": row[3],
            "booking": msgspec.Raw(row[4]),
        }
        for row in connection.execute(_BOOKINGS, (booking_id, booking_id))
    ]


def routes(application: web.Application, database: Database) -> None:
    """Making and reading bookings: plain REST, for the customers."""

    async def create_one(request: web.Request) -> web.Response:
        try:
            booking = await read_json(request, BookingCreated)
        except ValueError as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        status = await database.run(lambda connection: create(connection, booking))
        if status == HTTPStatus.CONFLICT:
            message = f"there is another booking {booking.booking_id[:100]}"
            return problem(status, message, code="booking-differs")
        return json_response({"bookingId": booking.booking_id}, status=status)

    async def all_bookings(_: web.Request) -> web.Response:
        return json_response(await database.run(_bookings))

    async def one_booking(request: web.Request) -> web.Response:
        wanted = request.match_info["booking_id"]
        found = await database.run(lambda connection: _bookings(connection, booking_id=wanted))
        if not found:
            message = f"there is no booking {wanted[:100]}"
            return problem(HTTPStatus.NOT_FOUND, message, code="unknown-booking")
        return json_response(found[0])

    application.router.add_post("/bookings", create_one)
    application.router.add_get("/bookings", all_bookings)
    application.router.add_get("/bookings/{booking_id}", one_booking)


SERVICE = Service(
    name="booking-service",
    key="bookingId",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("confirm-booking", ConfirmBooking, confirm),
        undo_only("cancel-booking", CancelBooking, cancel),
    ),
    declined={"confirm-booking": "declined", "cancel-booking": "declined"},
    state=state,
    routes=routes,
    creates="/bookings",
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
