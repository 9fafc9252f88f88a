"""What happens next: the pure core. `decide` and `evolve` over stored facts.

Rules: no clock, no randomness, no I/O; time comes as an argument, ids are derived. `evolve` calls no user code.
It does not: store, send, wait, or know who does.
"""
