"""Eureka, the registry of services of Spring Cloud: this service in it, and the look-up of others.

Rules: `EurekaDiscovery` fills the discovery port. Five requests of Eureka's REST interface are all that is spoken, over
aiohttp; nothing of either shows outside this folder.
It does not: call the services that it finds.
"""

from amends.adapters.eureka.discovery import EurekaDiscovery
from amends.adapters.eureka.documents import Instance

__all__ = ["EurekaDiscovery", "Instance"]
