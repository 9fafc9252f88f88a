"""The registration service: who is on the list of attendees, for which acceptance.

Rules:
- A registration is never removed: it is `registered`, and `withdrawn` when it was taken back.
- That a command acts once is the barrier's work: `register` would register twice if it were asked twice. The demo's
  checks count on that.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.offer.messages import (
    AttendeeRegistered,
    AttendeeUnregistered,
    RegisterAttendee,
    UnregisterAttendee,
)
from examples.offer.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS barred (email TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS registration (
    registration_id INTEGER PRIMARY KEY AUTOINCREMENT,
    acceptance_id   TEXT NOT NULL,
    attendee        TEXT NOT NULL,
    email           TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('registered', 'withdrawn'))
) STRICT;
CREATE INDEX IF NOT EXISTS registration_by_acceptance ON registration (acceptance_id, email);
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany("INSERT INTO barred (email) VALUES (?)", [(email,) for email in seed.barred])


def register(
    connection: sqlite3.Connection, _: Command, wanted: RegisterAttendee
) -> Succeeded[AttendeeRegistered] | Refused:
    if connection.execute("SELECT 1 FROM barred WHERE email = ?", (wanted.email,)).fetchone() is not None:
        return Refused("attendee-barred", f"{wanted.attendee} may not take part")
    cursor = connection.execute(
        "INSERT INTO registration (acceptance_id, attendee, email, state) VALUES (?, ?, ?, 'registered')",
        (wanted.acceptance_id, wanted.attendee, wanted.email),
    )
    return Succeeded(AttendeeRegistered(registration_id=f"R-{cursor.lastrowid}"))


def unregister(
    connection: sqlite3.Connection, _: Command, off: UnregisterAttendee
) -> Succeeded[AttendeeUnregistered] | Refused:
    connection.execute(
        "UPDATE registration SET state = 'withdrawn' WHERE acceptance_id = ? AND email = ? "
        "AND (? IS NULL OR 'R-' || registration_id = ?)",
        (off.acceptance_id, off.email, off.registration_id, off.registration_id),
    )
    return Succeeded(AttendeeUnregistered())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    registrations = connection.execute(
        "SELECT registration_id, acceptance_id, email, state FROM registration ORDER BY registration_id"
    )
    return {
        "registrations": [
            {"registration_id": f"R-{row[0]}", "acceptance_id": row[1], "email": row[2], "state": row[3]}
            for row in registrations
        ]
    }


SERVICE = Service(
    name="registration-service",
    key="acceptance_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("register-attendee", RegisterAttendee, register),
        undo("unregister-attendee", UnregisterAttendee, unregister),
    ),
    declined={"register-attendee": "attendee-barred", "unregister-attendee": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
