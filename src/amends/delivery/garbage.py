"""How often a process of Amends' own looks for garbage that holds itself.

Rules: what the process has when it is ready stays, so it is not looked through again; what comes later is freed when
nothing refers to it, and what is left, cycles alone, is looked for seldom (decision 0042). It concerns the whole
process, so nobody but who owns that calls it: `amends serve`, and the benchmark in its place.
It does not: collect, or speak for a process that embeds an orchestrator.
"""

import gc
from typing import Final

SELDOM: Final = (10_000, 10, 10)
"""So many more objects than were freed before the youngest are looked through; so often before older ones are."""


def collect_seldom() -> None:
    """Have what is there now looked through no more, and what comes later seldom.

    Garbage that is there goes before, which takes some 30 ms. What is there and refers to itself is never freed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)
