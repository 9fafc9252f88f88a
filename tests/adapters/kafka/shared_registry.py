"""The schema registry of a test run, as `shared_broker` is its broker."""

from servers import registry
from tests.adapters.shared import Shared

_SHARED = Shared("servers.registry")


def registry_url() -> str:
    """Return the address of the shared registry, for clients."""
    found: registry.Server = _SHARED.server()
    return found.url
