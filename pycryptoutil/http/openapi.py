"""OpenAPI 3.1 from the route table. The same table always gives the same text.

One document stands for both doors: paths of :attr:`Gate.API` are relative to the two servers ``/service/api/v1`` and
``/browser/api/v1``; every other path is written in full and has the root as its server. Protocol routes
list their media types only: their RFC is their contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pycryptoutil.http import problem
from pycryptoutil.http.message import Listener
from pycryptoutil.http.route import Gate, Route

VERSION = "3.1.0"
SERVICE_SERVER = "/service/api/v1"
BROWSER_SERVER = "/browser/api/v1"
PAGE_PREFIX = "/browser"
REF = "#/components/schemas/{model}"
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_PLACEHOLDER = re.compile(r"<(?:(?P<converter>[a-zA-Z_]\w*)(?:\((?P<arguments>[^)]*)\))?:)?(?P<name>\w+)>")
_CONVERTERS: Mapping[str, Mapping[str, Any]] = {
    "int": {"type": "integer", "minimum": 0},
    "float": {"type": "number"},
    "uuid": {"type": "string", "format": "uuid"},
}
_Schemas = Mapping[tuple[type[BaseModel], JsonSchemaMode], Mapping[str, Any]]

PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. Quote request_id when asking for help: it finds the log line.",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [problem.TYPE_PREFIX + "not-found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Each place that is wrong: a JSON pointer into the body, or a query parameter.",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}

SECURITY_SCHEMES: Mapping[str, Any] = {
    "basic": {"type": "http", "scheme": "basic", "description": "/service: client id and client secret."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "/service: an API token."},
    "certificate": {"type": "mutualTLS", "description": "/service: a client certificate bound to a principal."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-session",
        "description": "/browser: the cookie that a login sets.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "/browser, unsafe methods: csrf_token of the session.",
    },
}


def generate(
    *, title: str, description: str, version: str, routes: Iterable[Route], scopes: Mapping[str, str]
) -> dict[str, Any]:
    """Return the document of these routes (admin routes are left out: they are not public).

    ValueError when two routes have one name, or one method at one path.
    """
    public = [route for route in routes if route.gate is not Gate.ADMIN]
    table = sorted(public, key=_order)
    schemas, definitions = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    names: set[str] = set()
    for route in table:
        if route.name in names:
            raise ValueError(f"two routes are called {route.name}")
        names.add(route.name)
        item = paths.setdefault(_path(route), {})
        for method in route.methods:
            if method == "HEAD" and "GET" in route.methods:
                continue  # implied by GET
            if method.lower() in item:
                raise ValueError(f"{method} {_path(route)} is routed twice")
            item[method.lower()] = _operation(route, method, schemas, alone=len(route.methods) == 1)
    tags = dict.fromkeys(route.tag for route in public if route.tag)  # in the table's order: the service's own first
    return {
        "openapi": VERSION,
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": SERVICE_SERVER, "description": "For programs: Basic, Bearer or client certificate."},
            {"url": BROWSER_SERVER, "description": "For people: session cookie, and a CSRF token on unsafe methods."},
        ],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**definitions, "Problem": dict(PROBLEM)}.items())),
            "responses": {
                "Problem": {
                    "description": "A problem document.",
                    "content": {problem.MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
                }
            },
            "securitySchemes": {name: dict(scheme) for name, scheme in SECURITY_SCHEMES.items()},
        },
        "x-scopes": dict(sorted(scopes.items())),
    }


def dumps(document: Mapping[str, Any]) -> bytes:
    """Return the one text of a document."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _order(route: Route) -> tuple[str, str, str]:
    return (_path(route), route.methods[0] if route.methods else "", route.name)


def _path(route: Route) -> str:
    path = _PLACEHOLDER.sub(lambda found: "{" + found["name"] + "}", route.path)
    match route.gate:
        case Gate.SERVICE:
            return SERVICE_SERVER + path
        case Gate.BROWSER:
            return BROWSER_SERVER + path
        case Gate.PAGE:
            return PAGE_PREFIX + path
        case _:
            return path


def _schemas(table: Sequence[Route]) -> tuple[_Schemas, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for route in table:
        for model in (route.body, route.described_body):
            if model is not None:
                wanted[model, "validation"] = None
        for answer in (route.response, *route.also.values()):
            if answer is not None:
                wanted[answer, "serialization"] = None
    schemas, top = models_json_schema(list(wanted), ref_template=REF)
    return cast("_Schemas", schemas), dict(top.get("$defs", {}))


def _operation(route: Route, method: str, schemas: _Schemas, *, alone: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": route.name if alone else f"{route.name}{method.capitalize()}"}
    if route.summary:
        operation["summary"] = route.summary
    if route.scope:
        operation["description"] = f"Needs the scope `{route.scope}`."
        operation["x-scope"] = route.scope
    if route.tag:
        operation["tags"] = [route.tag]
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    body = _request_body(route, schemas)
    if body and method not in SAFE:
        operation["requestBody"] = body
    operation["responses"] = _responses(route, method, schemas)
    operation["security"] = _security(route, method)
    if route.gate is not Gate.API:
        operation["servers"] = [{"url": "/"}]
    if Listener.PLAIN in route.listeners:
        operation["x-listeners"] = sorted(listener.value for listener in route.listeners)
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    found = []
    for placeholder in _PLACEHOLDER.finditer(route.path):
        schema = dict(_CONVERTERS.get(placeholder["converter"] or "", {"type": "string"}))
        found.append({"name": placeholder["name"], "in": "path", "required": True, "schema": schema})
    return found


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=REF)
    if "$defs" in schema:
        raise ValueError(f"{route.name}: a query model nests no other model")
    required = schema.get("required", [])
    found = []
    for name, field in schema.get("properties", {}).items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in required}
        described = {key: value for key, value in field.items() if key not in {"title", "description"}}
        if "description" in field:
            parameter["description"] = field["description"]
        parameter["schema"] = described
        found.append(parameter)
    return found


def _request_body(route: Route, schemas: _Schemas) -> dict[str, Any]:
    model = route.body or route.described_body
    media_types = route.accepts or (("application/json",) if model else ())
    if not media_types:
        return {}
    content: dict[str, Any] = {}
    for media_type in media_types:
        content[media_type] = {"schema": dict(schemas[model, "validation"])} if model else {}
    return {"required": True, "content": content}


def _successes(route: Route, method: str, schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": _reason(route.status)}
    if method != "HEAD" and route.status not in {204, 303}:
        schema = {"schema": dict(schemas[route.response, "serialization"])} if route.response else {}
        content = {media: (schema if media == "application/json" else {}) for media in route.produces}
        if content:
            success["content"] = content
    responses: dict[str, Any] = {str(route.status): success}
    for status, model in sorted(route.also.items()):
        described = {"application/json": {"schema": dict(schemas[model, "serialization"])}}
        responses[str(status)] = {"description": _reason(status), "content": described}
    return responses


def _responses(route: Route, method: str, schemas: _Schemas) -> dict[str, Any]:
    responses = _successes(route, method, schemas)
    if route.gate is Gate.PROTOCOL or route.faults is not None:
        responses["default"] = {"description": "An error in the form of this path's own protocol."}
        return responses
    problem_response = {"$ref": "#/components/responses/Problem"}
    statuses = {429}
    if route.scope is not None:
        statuses |= {401}
    if route.scope or (route.gate in {Gate.API, Gate.BROWSER} and method not in SAFE):
        statuses |= {403}
    if _PLACEHOLDER.search(route.path):
        statuses |= {404}
    if route.body or route.described_body:
        statuses |= {400, 413, 415, 422}
    elif route.query:
        statuses |= {422}
    for status in sorted(statuses):
        responses[str(status)] = problem_response
    responses["default"] = problem_response
    return responses


def _security(route: Route, method: str) -> list[dict[str, list[str]]]:
    if route.scope is None or route.gate is Gate.PROTOCOL:
        return []
    service: list[dict[str, list[str]]] = [{"basic": []}, {"bearer": []}, {"certificate": []}]
    browser: dict[str, list[str]] = {"session": []}
    if method not in SAFE:
        browser["csrf"] = []
    match route.gate:
        case Gate.SERVICE:
            return service
        case Gate.BROWSER | Gate.PAGE:
            return [browser]
        case _:
            return [*service, browser]


def _reason(status: int) -> str:
    return {
        200: "Done.",
        201: "Made.",
        202: "Accepted; ask again after Retry-After.",
        204: "Done; no content.",
        303: "Done; see the other page.",
    }.get(status, "Done.")
