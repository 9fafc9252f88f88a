"""What a service says when it is asked what became of a command: what its barrier remembers, and nothing else.

Rules: to ask does nothing. A command that is not remembered, or is to be answered later, was not answered here *yet*:
it may still be on its way.
Does not do: read the database (the ledger does), or find out about commands that a handler is busy with.
"""

import json

import msgspec

from amends.participant.barrier import Remembered


def status_document(remembered: Remembered | None) -> bytes:
    """The document of the contract: `succeeded` with the reply, `refused` with code and reason, or `unseen`."""
    if remembered is None or remembered.answer.outcome == "later":
        return b'{"outcome":"unseen"}'
    answer = remembered.answer
    if answer.outcome == "succeeded":
        return msgspec.json.encode({"outcome": "succeeded", "reply": msgspec.Raw(answer.body)})
    return json.dumps({"outcome": "refused", **json.loads(answer.body)}).encode()
