"""Participants that are called over HTTP: the transport, and the door for replies that come later.

Rules: `HttpTransport` fills the transport port for one URL, `DiscoveredTransport` for the instances of a service;
`CallbackListener` (in `callbacks.py`) takes the replies that a 202 promised; the rest is theirs. The client is
httptools' parser (`response.py`) and a pool of our own over asyncio (`connections.py`); the server of the door is
aiohttp's. Nothing of either shows outside this folder.
It does not: retry, persist, or decide.
"""

from amends.adapters.http.connections import HttpConnections
from amends.adapters.http.discovered import DiscoveredTransport
from amends.adapters.http.transport import HttpTransport

__all__ = ["DiscoveredTransport", "HttpConnections", "HttpTransport"]
