"""What a participant says when it is asked what became of a command: ``GET {base_url}/{command name}``.

Rules: only 200 with the document of the contract counts, read strictly; whatever else comes back, nobody knows. A
service that answers such a request with something of its own is not misread.
It does not: talk to anybody.
"""

import msgspec

from amends.adapters.http.answers import HttpAnswer
from amends.core.outcome import Answer, Refused, Succeeded
from amends.wire.excerpt import excerpt
from amends.wire.strict_json import BadJson, check_document

_OK = 200


class _Succeeded(msgspec.Struct, tag_field="outcome", tag="succeeded", forbid_unknown_fields=True, gc=False):
    reply: msgspec.Raw = msgspec.Raw(b"null")


class _Refused(msgspec.Struct, tag_field="outcome", tag="refused", forbid_unknown_fields=True, gc=False):
    code: str
    reason: str = ""


class _Unseen(msgspec.Struct, tag_field="outcome", tag="unseen", forbid_unknown_fields=True, gc=False):
    pass


_DOCUMENT: msgspec.json.Decoder[_Succeeded | _Refused | _Unseen] = msgspec.json.Decoder(
    _Succeeded | _Refused | _Unseen
)


def known(answer: HttpAnswer) -> Answer | None:
    """Return the answer that the participant says it gave; None when nobody knows of one."""
    if answer.status != _OK or not answer.body:
        return None
    try:
        check_document(answer.body)
        said = _DOCUMENT.decode(answer.body)
    except (BadJson, msgspec.DecodeError):
        return None
    match said:
        case _Succeeded():
            return Succeeded(bytes(said.reply))
        case _Refused():
            return Refused(excerpt(said.code), excerpt(said.reason)) if said.code else None
        case _Unseen():
            return None
