"""What a verb raises when it cannot do what was asked.

Rules: the text is one line and names the mend. What a service or a store says is `delivery.client.faults`.
It does not: print (`app.py` does).
"""


class Unusable(Exception):
    """What was asked cannot be done; nothing was done."""
