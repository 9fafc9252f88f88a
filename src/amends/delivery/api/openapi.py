"""The API's own document: OpenAPI 3.1, made from the routes and from the types that they read and answer with.

Rules: every status that a route can answer is there, with its content type and its schema; a saga's own data are any
JSON. What is read by hand (query parameters, headers) brings its schema with its reader.
It does not: describe what is not in `routes.py`.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from amends import __version__
from amends.delivery.api import documents
from amends.delivery.api.problem import CONTENT_TYPE, phrase
from amends.delivery.api.routes import EVERYWHERE, Route

REF = "#/components/schemas/{name}"
_PART = re.compile(r"{(\w+)}")


def document(routes: Sequence[Route], *, has_keys: bool) -> dict[str, Any]:
    """Return the document; with `has_keys` it asks for one wherever a route does."""
    types = [route.answer for route in routes if _is_struct(route.answer)]
    types += [route.body for route in routes if _is_struct(route.body)]
    types.append(documents.ProblemDocument)
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(types)), ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, has_keys=has_keys)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Amends",
            "version": __version__,
            "summary": "A durable saga orchestrator.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(route: Route, *, has_keys: bool) -> dict[str, Any]:
    needs_key = has_keys and not route.is_open
    statuses = {*route.bad, *EVERYWHERE, *((401,) if needs_key else ())}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.says,
        "parameters": _parameters(route),
        "responses": {str(status): _good(route, status) for status in route.good}
        | {str(status): _bad(status) for status in sorted(statuses)},
    }
    if needs_key:
        operation["security"] = [{"bearer": []}, {"key": []}]
    if route.body is not None:
        content = {"application/json": {"schema": _schema(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PART.findall(route.path)
    ]
    for name, parameter in route.query.items():
        schema: object = parameter.kind.schema
        if parameter.repeats:
            schema = {"type": "array", "items": schema}
        found.append({"name": name, "in": "query", "description": parameter.says, "schema": schema})
    found += [
        {"name": name, "in": "header", "description": says, "schema": {"type": "string"}}
        for name, says in route.headers.items()
    ]
    return found


def _good(route: Route, status: int) -> dict[str, Any]:
    schema = {"type": "string"} if route.answer is None else _schema(route.answer)
    headers: dict[str, Any] = {"Amends-Request-Id": _header("The request's id in the log.")}
    if route.answer is documents.SagaDocument:
        headers["ETag"] = _header("The instance's position.")
    if route.method == "POST" and route.path == "/v1/sagas":
        headers["Location"] = _header("Where the instance is.")
    return {
        "description": phrase(status),
        "headers": headers,
        "content": {route.content_type: {"schema": schema}},
    }


def _bad(status: int) -> dict[str, Any]:
    return {
        "description": phrase(status),
        "headers": {"Amends-Request-Id": _header("The request's id in the log.")},
        "content": {CONTENT_TYPE: {"schema": _schema(documents.ProblemDocument)}},
    }


def _header(says: str) -> dict[str, Any]:
    return {"description": says, "schema": {"type": "string"}}


def _schema(kind: Any) -> dict[str, Any]:
    return {"$ref": REF.format(name=kind.__name__)} if _is_struct(kind) else {"type": "object"}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
