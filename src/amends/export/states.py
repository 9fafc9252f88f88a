"""The states of a step and of an instance as Mermaid diagrams, from the tables that run (`core.transitions`).

Rules: the text follows from the tables alone, in a stable order. ``python -m amends.export.states`` prints it.
It does not: say when a transition is due.
"""

import sys
from collections.abc import Iterable

from amends.core.transitions import INSTANCE, STEP

FORWARD = ("idle", "doing", "retrying", "succeeded", "refused", "unknown", "stuck", "passed")
PAGE = """# States

Made from `src/amends/core/transitions.py`; after a change there run

    python -m amends.export.states > docs/states.md

## A step, forward

`passed`: a person went on without the step. `unknown`: no trustworthy answer came; it may have happened.

{forward}

## A step, backward, and late answers

`left`: a person left it as it is, not undone.

{backward}

## An instance

`completed` and `compensated` are both good ends; a late success that has to be undone opens them again.

{instance}
"""


def page() -> str:
    """Return docs/states.md."""
    steps = sorted(STEP)
    forward = [step for step in steps if step[0] in FORWARD and step[2] in FORWARD]
    backward = [step for step in steps if step not in forward]
    instance = [(before, "", after) for before, after in sorted(INSTANCE)]
    return PAGE.format(forward=diagram(forward), backward=diagram(backward), instance=diagram(instance))


def diagram(transitions: Iterable[tuple[str, str, str]]) -> str:
    """Return transitions (before, fact, after) as one Mermaid state diagram."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for before, fact, after in transitions:
        label = f" : {fact}" if fact else ""
        lines.append(f"    {_name(before)} --> {_name(after)}{label}")
    return "\n".join([*lines, "```"])


def _name(state: str) -> str:
    return state.replace("-", "_")


if __name__ == "__main__":
    sys.stdout.write(page())
