"""What can be wrong with a store, as errors that say what happened and what to do.

Rules: an adapter turns its technology's errors into these and nothing else leaves it. `StoreFull` and
`StoreUnavailable` pass by themselves: nothing was written, the writer tries again. The others need a person.
It does not: know any technology.
"""


class StoreError(Exception):
    """Base of what a store may raise; its text is one sentence for an operator, with the store's address."""


class StoreUnavailable(StoreError):
    """The store does not answer now (locked, restarting, connection lost). Nothing is known to be written."""


class ClaimLost(StoreUnavailable):
    """The right to write is not ours: another process has it, or it ended with a connection. Nothing was written."""


class StoreFull(StoreError):
    """No space left. Nothing of the batch was written; writing goes on by itself once there is space."""


class StoreHeld(StoreError):
    """Another process holds this store; the text names it."""


class StoreFenced(StoreError):
    """Others have taken over what this process held, because its lease was over. Nothing of the batch was written, and
    nothing more is before it joins anew.
    """


class StoreReadOnly(StoreError):
    """The store, or its folder, cannot be written to."""


class StoreCorrupt(StoreError):
    """What is stored cannot be read: not a store, or damaged."""


class StoreNewer(StoreError):
    """The store was written by a newer version of Amends; it is never downgraded."""


class StoreOlder(StoreError):
    """The store was written by an older version of Amends and is only read here; it is migrated when it is opened."""
