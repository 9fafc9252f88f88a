"""What a verb raises when it cannot do what was asked.

Rules: the text is one line and names the mend.
It does not: print (`app.py` does).
"""


class Unusable(Exception):
    """What was asked cannot be done; nothing was done."""
