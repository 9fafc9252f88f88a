"""Answers: JSON documents, text, and an instance with its ETag.

Rules: JSON has one encoder; what a saga's data hold beyond JSON's own types is written as msgspec writes it.
It does not: send.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from amends.application.view import SagaView

JSON = "application/json"
SAFE = "-._~:@+="


def document(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as JSON."""
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type=JSON, headers=headers or {}
    )


def encoded(body: bytes) -> web.Response:
    """Return what is JSON already."""
    return web.Response(body=body, content_type=JSON)


def text(value: str, *, content_type: str = "text/plain") -> web.Response:
    """Return text in UTF-8."""
    return web.Response(body=value.encode(), content_type=content_type, charset="utf-8")


def saga(view: SagaView[Any], *, status: int = 200, located: bool = False) -> web.Response:
    """Return an instance; its ETag is its position."""
    headers: dict[str, str] = {hdrs.ETAG: f'"{view.position}"'}
    if located:
        headers[hdrs.LOCATION] = f"/v1/sagas/{quote(view.id, safe=SAFE)}"
    return document(view.as_dict(), status=status, headers=headers)
