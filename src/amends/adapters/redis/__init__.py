"""The exchange in a Redis: what processes tell one another of their participants.

Rules: redis-py is the technology, and nothing of it shows outside this folder. All that happens at a meeting is one
script (`meet.lua`), so it happens at once; all that it keeps runs out by itself.
It does not: keep anything that must not be lost.
"""

from amends.adapters.redis.exchange import RedisAddress, RedisExchange

__all__ = ["RedisAddress", "RedisExchange"]
