"""What an example's checks found: which of them hold, and one line for each thing that is wrong.

Verdict.of({"money-adds-up": lines(…), …}).checks["money-adds-up"]
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which checks hold; for each that does not, one line per thing that is wrong."""

    explanations: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(explanations: Mapping[str, Iterable[str]]) -> "Verdict":
        """The verdict of checks that each tell what is wrong, and nothing if nothing is."""
        return Verdict(explanations={name: tuple(wrong) for name, wrong in explanations.items()})

    @property
    def checks(self) -> dict[str, bool]:
        return {name: not wrong for name, wrong in self.explanations.items()}

    @property
    def passed(self) -> bool:
        return all(self.checks.values())


def repeated(effects: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Tell which `(effect, instance)` happened more than once."""
    for (effect, instance), times in Counter(effects).items():
        if times > 1:
            yield f"{effect} happened {times} times for {instance}"
