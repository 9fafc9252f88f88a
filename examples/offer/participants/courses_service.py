"""The courses service: trainings, their places, and who has one.

Rules:
- `places_left` and the bookings are changed together; a cancelled booking gives its place back.
- That a command acts once is the barrier's work: `book` would take two places if it were asked twice.
"""

import sqlite3
import sys

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.offer.messages import BookPlace, CancelPlace, PlaceBooked, PlaceCancelled
from examples.offer.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS course (
    course      TEXT PRIMARY KEY,
    places      INTEGER NOT NULL,
    places_left INTEGER NOT NULL CHECK (places_left >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS booking (
    booking_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    acceptance_id   TEXT NOT NULL,
    course          TEXT NOT NULL REFERENCES course (course),
    registration_id TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('booked', 'cancelled'))
) STRICT;
CREATE INDEX IF NOT EXISTS booking_by_acceptance ON booking (acceptance_id, course);
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO course (course, places, places_left) VALUES (?, ?, ?)",
        [(course.course, course.places, course.places) for course in seed.courses],
    )


def book(connection: sqlite3.Connection, _: Command, wanted: BookPlace) -> Succeeded[PlaceBooked] | Refused:
    row = connection.execute("SELECT places_left FROM course WHERE course = ?", (wanted.course,)).fetchone()
    if row is None:
        return Refused("course-unknown", f"there is no course {wanted.course}")
    if row[0] == 0:
        return Refused("course-full", f"the course {wanted.course} has no place left")
    connection.execute("UPDATE course SET places_left = places_left - 1 WHERE course = ?", (wanted.course,))
    cursor = connection.execute(
        "INSERT INTO booking (acceptance_id, course, registration_id, state) VALUES (?, ?, ?, 'booked')",
        (wanted.acceptance_id, wanted.course, wanted.registration_id),
    )
    return Succeeded(PlaceBooked(booking_id=f"B-{cursor.lastrowid}", places_left=row[0] - 1))


def cancel(
    connection: sqlite3.Connection, _: Command, cancelled: CancelPlace
) -> Succeeded[PlaceCancelled] | Refused:
    given_back = connection.execute(
        "UPDATE booking SET state = 'cancelled' WHERE acceptance_id = ? AND course = ? AND state = 'booked' "
        "AND (? IS NULL OR 'B-' || booking_id = ?)",
        (cancelled.acceptance_id, cancelled.course, cancelled.booking_id, cancelled.booking_id),
    ).rowcount
    connection.execute(
        "UPDATE course SET places_left = places_left + ? WHERE course = ?", (given_back, cancelled.course)
    )
    return Succeeded(PlaceCancelled())


def state(connection: sqlite3.Connection) -> dict[str, object]:
    courses = connection.execute("SELECT course, places, places_left FROM course ORDER BY course")
    bookings = connection.execute(
        "SELECT booking_id, acceptance_id, course, registration_id, state FROM booking ORDER BY booking_id"
    )
    return {
        "courses": [{"course": row[0], "places": row[1], "places_left": row[2]} for row in courses],
        "bookings": [
            {
                "booking_id": f"B-{row[0]}",
                "acceptance_id": row[1],
                "course": row[2],
                "registration_id": row[3],
                "state": row[4],
            }
            for row in bookings
        ],
    }


SERVICE = Service(
    name="courses-service",
    key="acceptance_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("book-place", BookPlace, book),
        undo("cancel-place", CancelPlace, cancel),
    ),
    declined={"book-place": "course-full", "cancel-place": "declined"},
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
