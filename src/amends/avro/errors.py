"""What can be wrong with an Avro value, its schema, or the way to the registry.

Rules: each says whether waiting helps. No text echoes more than an excerpt of what came from outside.
It does not: decide what becomes of a value.
"""


class BadAvro(Exception):
    """The bytes are not what their schema says, or hold what JSON does not have. Waiting does not help."""


class BadSchema(Exception):
    """The schema is no Avro, or one that is not read here. Waiting does not help."""


class UnknownSchema(Exception):
    """The registry has no schema of this id. Waiting does not help, unless somebody registers it."""


class Misfit(Exception):
    """The document does not fit the subject's schema. Waiting does not help, unless somebody registers another."""


class RegistryAway(Exception):
    """The registry does not answer, or not now, or not to us. It passes, and is to be tried again."""


class NoSubject(RegistryAway):
    """The registry has no such subject yet: like a topic that is not there, it is waited for."""


class RegistryRefused(Exception):
    """The registry does not take a schema: it is no Avro, or not compatible with what stands there."""
