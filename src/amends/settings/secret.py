"""Values that nobody may read by accident: a secret, and an address that may have one inside.

Rules: `str`, `repr` and every format show `***` in the secret's place; only `reveal()` gives it away. An address is
masked up to its last `@`, because a password may hold any character, and in parameters with telling names.
They do not: protect memory, or encrypt.
"""

import hmac
import re

MASK = "***"

_TELLING = re.compile(r"auth|cookie|passw|pwd|secret|token|key|credential|signature", re.IGNORECASE)
_HEAD = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.:-]*://)(?P<user>[^@:/]*)(?P<colon>:?)(?P<rest>.*)", re.DOTALL
)
_PARAMETER = re.compile(
    r"(?P<name>[?&;][^=&;\s]*(?:passw|pwd|secret|token|key|credential|signature)[^=&;\s]*=)(?P<value>[^&;]*)",
    re.IGNORECASE,
)


class Secret:
    """A text that is shown as `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK


class Url:
    """An HTTP address; `text` is whole, and everything else shows it without its password."""

    # No dataclass: `dataclasses.asdict` would take it apart.
    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def text(self) -> str:
        """The address as it was written."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return self._text == other.text if isinstance(other, Url) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Url({masked(self._text)!r})"

    def __str__(self) -> str:
        return masked(self._text)


def masked(text: str) -> str:
    """Return `text` with what may be a password inside an address replaced."""
    head, at, rest = text.rpartition("@")
    return _PARAMETER.sub(rf"\g<name>{MASK}", _masked_head(head) + at + rest if at else text)


def holds_password(text: str) -> bool:
    """Tell whether an address has a password, and not only the place for one."""
    head, at, _ = text.rpartition("@")
    found = _HEAD.fullmatch(head) if at else None
    return bool(found and found["rest"]) or any(each["value"] for each in _PARAMETER.finditer(text))


def _masked_head(head: str) -> str:
    """Keep the scheme, and the user's name, which tells an operator which account it is."""
    found = _HEAD.fullmatch(head)
    if not found:
        return MASK
    if found["colon"]:
        return f"{found['scheme']}{found['user']}:{MASK}"
    return f"{found['scheme']}{MASK}" if found["rest"] else head


def is_telling(name: str) -> bool:
    """Tell whether what is called `name` is likely a secret."""
    return bool(_TELLING.search(name))
