"""How a handler in this process says no.

Rules: a refusal is a business no: nothing was done, or what was done is taken back before it is raised.
It does not: stand for trouble; any other exception does that, and is tried again.
"""


class Refuse(Exception):
    """Raised by a handler: a business no, with the code that the saga may branch on."""

    def __init__(self, code: str, reason: str = "") -> None:
        super().__init__(f"{code}: {reason}" if reason else code)
        self.code = code
        self.reason = reason
