"""Can it go wrong: every choice that the world has, against one saga, in virtual time.

Rules: pure; the world, its faults and its clock are values. It drives the same `decide` and `evolve` as the engine.
It does not: start a process, wait, or draw a random number that it was not given.
"""
