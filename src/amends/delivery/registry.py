"""The registry of services that the settings name, and what this service is called there.

Rules: what is said in `eureka` wins; otherwise others are told the address that participants are told, or the one that
is listened on, or, where that is all of the machine's, the machine's name.
It does not: register, or look up.
"""

import importlib.util
import socket
from typing import Any
from urllib.parse import urlsplit

from amends import bootstrap
from amends.delivery.stores import NotServed
from amends.settings import Settings

ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104  nothing is bound to it here


def discovery(settings: Settings, port: int) -> Any:
    """Return Eureka, as the settings have it, for a service that listens at `port`; None without it.

    Raises:
        NotServed: it cannot be had here.
    """
    eureka = settings.eureka
    if not eureka.enabled or not eureka.default_zone:
        return None
    if importlib.util.find_spec("aiohttp") is None:
        raise NotServed('eureka.default-zone needs aiohttp: pip install "amends[eureka]"')
    host, port, is_secure = _place(settings, port)
    return bootstrap.eureka(
        [url.text for url in eureka.default_zone],
        app=eureka.app_name if eureka.register else "",
        host=host,
        port=port,
        instance_id=eureka.instance_id or "",
        is_secure=is_secure,
        prefers_ip=eureka.prefer_ip_address,
        renewal=eureka.renewal_interval,
        fetch=eureka.fetch_interval,
    )


def _place(settings: Settings, port: int) -> tuple[str, int, bool]:
    """Return where others reach this service: host, port, and whether by https."""
    server, host = settings.server, settings.eureka.instance_host
    if host is None and server.public_url is not None:
        parts = urlsplit(server.public_url.text)
        is_secure = parts.scheme == "https"
        return parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure
    if host is None:
        host = socket.gethostname() if server.host in ANYWHERE else server.host
    return host, port, False
