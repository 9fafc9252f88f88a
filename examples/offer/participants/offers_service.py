"""The offers service: the offers, who holds one, what lies on the sponsors' desks, what was accepted at which price.

Rules:
- An offer is open, held by one acceptance, or accepted by it; nobody else gets it meanwhile.
- Holds and questions are never removed: a hold is `held`, `freed` or `accepted`, a question `open`, `dropped` or
  `settled`.
- Prices are kept as they came, as text with two decimals.
- That a command acts once is the barrier's work: `ask` would ask twice if it were asked twice.
"""

import sqlite3
import sys
from decimal import Decimal

from amends.participant import Command, Refused, Succeeded, do, undo
from amends.participant.handlers import handlers
from examples.offer.messages import (
    AcceptOffer,
    AskSponsor,
    DropQuestion,
    FreeOffer,
    HoldOffer,
    OfferAccepted,
    OfferFreed,
    OfferHeld,
    QuestionDropped,
    SponsorAsked,
)
from examples.offer.seed import Seed
from examples.running.process import Service, run

SCHEMA = """
CREATE TABLE IF NOT EXISTS offer (
    offer   TEXT PRIMARY KEY,
    course  TEXT NOT NULL,
    price   TEXT NOT NULL,
    expired INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sponsor (sponsor TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hold (
    hold_id       INTEGER PRIMARY KEY AUTOINCREMENT,
    acceptance_id TEXT NOT NULL,
    offer         TEXT NOT NULL REFERENCES offer (offer),
    state         TEXT NOT NULL CHECK (state IN ('held', 'freed', 'accepted')),
    price         TEXT,
    approved_by   TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS hold_by_offer ON hold (offer, state);
CREATE TABLE IF NOT EXISTS question (
    question_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    acceptance_id TEXT NOT NULL,
    sponsor       TEXT NOT NULL REFERENCES sponsor (sponsor),
    price         TEXT NOT NULL,
    occasion      TEXT NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('open', 'dropped', 'settled'))
) STRICT;
CREATE INDEX IF NOT EXISTS question_by_acceptance ON question (acceptance_id, occasion);
"""
_OFFER = """
SELECT course, price, expired,
       EXISTS (SELECT 1 FROM hold WHERE hold.offer = offer.offer AND state IN ('held', 'accepted'))
FROM offer WHERE offer = ?
"""
_ACCEPT = """
UPDATE hold SET state = 'accepted', price = ?, approved_by = ?
WHERE acceptance_id = ? AND offer = ? AND state = 'held' RETURNING hold_id
"""


def plant(connection: sqlite3.Connection, seed: Seed) -> None:
    connection.executemany(
        "INSERT INTO offer (offer, course, price, expired) VALUES (?, ?, ?, ?)",
        [(offer.offer, offer.course, str(offer.price), offer.expired) for offer in seed.offers],
    )
    connection.executemany("INSERT INTO sponsor (sponsor) VALUES (?)", [(name,) for name in seed.sponsors])


def hold(connection: sqlite3.Connection, _: Command, wanted: HoldOffer) -> Succeeded[OfferHeld] | Refused:
    row = connection.execute(_OFFER, (wanted.offer,)).fetchone()
    if row is None:
        return Refused("offer-unknown", f"there is no offer {wanted.offer}")
    course, price, is_expired, is_taken = row
    if is_expired:
        return Refused("offer-expired", f"the offer {wanted.offer} has expired")
    if is_taken:
        return Refused("offer-taken", f"the offer {wanted.offer} is somebody else's")
    if (course, Decimal(price)) != (wanted.course, wanted.price):
        return Refused("offer-differs", f"the offer is {course} for {price}")
    cursor = connection.execute(
        "INSERT INTO hold (acceptance_id, offer, state) VALUES (?, ?, 'held')",
        (wanted.acceptance_id, wanted.offer),
    )
    return Succeeded(OfferHeld(hold_id=f"H-{cursor.lastrowid}"))


def free(connection: sqlite3.Connection, _: Command, freed: FreeOffer) -> Succeeded[OfferFreed] | Refused:
    connection.execute(
        "UPDATE hold SET state = 'freed' WHERE acceptance_id = ? AND offer = ? AND state = 'held' "
        "AND (? IS NULL OR 'H-' || hold_id = ?)",
        (freed.acceptance_id, freed.offer, freed.hold_id, freed.hold_id),
    )
    return Succeeded(OfferFreed())


def ask(connection: sqlite3.Connection, _: Command, asked: AskSponsor) -> Succeeded[SponsorAsked] | Refused:
    known = connection.execute("SELECT 1 FROM sponsor WHERE sponsor = ?", (asked.sponsor,)).fetchone()
    if known is None:
        return Refused("sponsor-unknown", f"there is no sponsor {asked.sponsor}")
    cursor = connection.execute(
        "INSERT INTO question (acceptance_id, sponsor, price, occasion, state) VALUES (?, ?, ?, ?, 'open')",
        (asked.acceptance_id, asked.sponsor, str(asked.price), asked.occasion),
    )
    return Succeeded(SponsorAsked(question_id=f"Q-{cursor.lastrowid}"))


def drop(
    connection: sqlite3.Connection, _: Command, dropped: DropQuestion
) -> Succeeded[QuestionDropped] | Refused:
    connection.execute(
        "UPDATE question SET state = 'dropped' WHERE acceptance_id = ? AND occasion = ? AND state = 'open' "
        "AND (? IS NULL OR 'Q-' || question_id = ?)",
        (dropped.acceptance_id, dropped.occasion, dropped.question_id, dropped.question_id),
    )
    return Succeeded(QuestionDropped())


def accept(
    connection: sqlite3.Connection, _: Command, accepted: AcceptOffer
) -> Succeeded[OfferAccepted] | Refused:
    holds = connection.execute(
        _ACCEPT, (str(accepted.price), accepted.approved_by, accepted.acceptance_id, accepted.offer)
    ).fetchall()
    if not holds:
        return Refused("not-held", f"{accepted.offer} is not held by acceptance {accepted.acceptance_id}")
    connection.execute(
        "UPDATE question SET state = 'settled' WHERE acceptance_id = ? AND state = 'open'",
        (accepted.acceptance_id,),
    )
    return Succeeded(OfferAccepted(contract_id=f"C-{holds[0][0]}"))


def state(connection: sqlite3.Connection) -> dict[str, object]:
    holds = connection.execute(
        "SELECT hold_id, acceptance_id, offer, state, price, approved_by FROM hold ORDER BY hold_id"
    )
    questions = connection.execute(
        "SELECT question_id, acceptance_id, sponsor, price, occasion, state FROM question ORDER BY question_id"
    )
    return {
        "holds": [
            {
                "hold_id": f"H-{row[0]}",
                "acceptance_id": row[1],
                "offer": row[2],
                "state": row[3],
                "price": row[4],
                "approved_by": row[5],
            }
            for row in holds
        ],
        "questions": [
            {
                "question_id": f"Q-{row[0]}",
                "acceptance_id": row[1],
                "sponsor": row[2],
                "price": row[3],
                "occasion": row[4],
                "state": row[5],
            }
            for row in questions
        ],
    }


SERVICE = Service(
    name="offers-service",
    key="acceptance_id",
    schema=SCHEMA,
    seed=Seed,
    plant=plant,
    handlers=handlers(
        do("hold-offer", HoldOffer, hold),
        undo("free-offer", FreeOffer, free),
        do("ask-sponsor", AskSponsor, ask),
        undo("drop-question", DropQuestion, drop),
        do("accept-offer", AcceptOffer, accept),
    ),
    declined={
        "hold-offer": "offer-taken",
        "free-offer": "declined",
        "ask-sponsor": "sponsor-unknown",
        "drop-question": "declined",
        "accept-offer": "offer-withdrawn",
    },
    state=state,
)

if __name__ == "__main__":
    sys.exit(run(SERVICE))
