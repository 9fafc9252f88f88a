"""What can go wrong between a person and the sagas.

Rules: the text is one line, says what happened and names the mend. `Denied`: the question arrived and the answer is no;
`Unreachable`: it did not arrive, or nothing usable came back.
It does not: print, or choose an exit code (`delivery.cli` does).
"""

from collections.abc import Mapping


class Denied(Exception):
    """The answer is no. `code` names the reason for programs, `problem` holds whatever else came with it."""

    def __init__(self, code: str, text: str, problem: Mapping[str, object] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.problem = dict(problem or {})


class Unreachable(Exception):
    """Nobody answered, or not as Amends would."""
