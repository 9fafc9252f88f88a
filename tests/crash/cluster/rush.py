"""The booking process for a rush: the same words, functions and states, and time for an answer when all come at once.

The definition of the example gives an answer one second. In a rush commands wait for their turn at a service that does
one after the other, and that is no fault of theirs: here an answer may take half an hour.

It does not: change what happens, or in which order.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from amends import Saga, each, on_rollback, sequence
from examples.booking import saga as booking

LONG: Final = timedelta(minutes=30)

RUSH: Final = Saga(
    "booking",
    version=1,
    data=booking.BookingData,
    deadline=2 * LONG,
    statuses=booking.STATUSES,
    body=sequence(
        on_rollback(
            "cancel-booking",
            booking.BOOKINGS,
            undo=booking.cancel,
            undo_retry=booking.PATIENT,
            timeout=LONG,
        ),
        each(
            booking.products,
            replace(booking.request_stock, timeout=LONG),
            key=booking.product_id,
            collect=booking.all_reserved,
        ),
        replace(booking.request_payment, timeout=LONG),
        replace(booking.confirm_booking, timeout=LONG),
    ),
)
