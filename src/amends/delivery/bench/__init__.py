"""`amends bench`: how fast this machine runs sagas, beside what its disk can do at best.

Rules: the work is order fulfilment (reserve, pay, ship) with participants that do nothing; every figure is measured at
full durability; each limit is measured in the same run, right before the point that it is compared with. Ratios travel
between machines, absolute figures do not.
It does not: judge.
"""
