"""An OpenAPI document as something a template can write down: references followed, types in words, a curl line each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pycryptoutil.http.openapi import BROWSER_SERVER, SERVICE_SERVER

METHODS = ("get", "post", "put", "patch", "delete")
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Field:
    """One member or parameter."""

    name: str
    type: str
    required: bool
    description: str
    place: str = ""
    parts: tuple[tuple[str, bool], ...] = ()  # the type, cut where it names a schema


@dataclass(frozen=True, slots=True)
class Body:
    """One media type of a request or response."""

    media_type: str
    schema: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One status."""

    status: str
    description: str
    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation."""

    id: str
    method: str
    path: str
    paths: tuple[str, ...]
    summary: str
    scope: str
    access: str
    parameters: tuple[Field, ...]
    request: tuple[Body, ...]
    answers: tuple[Answer, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class View:
    """The whole page."""

    title: str
    description: str
    groups: tuple[tuple[str, tuple[Operation, ...]], ...]
    schemas: tuple[tuple[str, str, tuple[Field, ...]], ...]
    scopes: tuple[tuple[str, str], ...]


def view(document: Mapping[str, Any]) -> View:
    """Return what the page shows; operations are grouped by their first tag, untagged ones last."""
    reader = _Reader(document)
    groups: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = next(iter(item[method].get("tags", ())), "Other")
                groups.setdefault(tag, []).append(reader.operation(path, method, item[method]))
    return View(
        document["info"]["title"],
        document["info"]["description"],
        tuple((tag, tuple(operations)) for tag, operations in groups.items() if operations),
        reader.schemas(),
        tuple(document["x-scopes"].items()),
    )


class _Reader:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        names = "|".join(sorted(map(re.escape, document["components"]["schemas"]), key=len, reverse=True))
        self._names = re.compile(rf"\b({names})\b")

    def field(self, name: str, node: Mapping[str, Any], required: bool, place: str = "") -> Field:
        """Describe one member or parameter."""
        said = self.type_of(node.get("schema", node))
        parts = tuple((text, index % 2 == 1) for index, text in enumerate(self._names.split(said)) if text)
        return Field(name, said, required, _describe(node), place, parts)

    def schemas(self) -> tuple[tuple[str, str, tuple[Field, ...]], ...]:
        """Return every schema of the document: name, description, members."""
        found = self._document["components"]["schemas"]
        return tuple((name, str(one.get("description", "")), self.fields(one)) for name, one in found.items())

    def follow(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a reference names, else the node itself."""
        for _ in range(MAX_DEPTH):
            if "$ref" not in node:
                break
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def type_of(self, node: Mapping[str, Any], depth: int = 0) -> str:
        """Say a schema in a few words."""
        if depth > MAX_DEPTH or not node:
            return "any"
        if "$ref" in node:
            return str(node["$ref"].rpartition("/")[2])
        for key in ("anyOf", "oneOf"):
            if key in node:
                return " or ".join(dict.fromkeys(self.type_of(part, depth + 1) for part in node[key]))
        values = node.get("enum", [node["const"]] if "const" in node else [])
        if values:
            return " | ".join(json.dumps(value) for value in values)
        kind = node.get("type", "any")
        if kind == "array":
            return f"list of {self.type_of(node.get('items', {}), depth + 1)}"
        notes = [str(node["format"])] if "format" in node else []
        low, high = node.get("minimum", node.get("minLength")), node.get("maximum", node.get("maxLength"))
        if low is not None or high is not None:
            notes.append(f"{'' if low is None else low}…{'' if high is None else high}")
        return f"{kind} ({', '.join(notes)})" if notes else str(kind)

    def fields(self, node: Mapping[str, Any]) -> tuple[Field, ...]:
        """Return the members of an object schema."""
        schema = self.follow(node)
        required = schema.get("required", ())
        return tuple(self.field(name, one, name in required) for name, one in schema.get("properties", {}).items())

    def bodies(self, node: Mapping[str, Any]) -> tuple[Body, ...]:
        """Return the media types of a request or response."""
        found = []
        for media_type, content in node.get("content", {}).items():
            schema = content.get("schema", {})
            found.append(Body(media_type, self.type_of(schema) if schema else "", self.fields(schema)))
        return tuple(found)

    def operation(self, path: str, method: str, node: Mapping[str, Any]) -> Operation:
        """Return one operation."""
        relative = "servers" not in node
        paths = (SERVICE_SERVER + path, BROWSER_SERVER + path) if relative else (path,)
        request = self.bodies(node.get("requestBody", {}))
        parameters = tuple(
            self.field(one["name"], one, one.get("required", False), one["in"]) for one in node.get("parameters", ())
        )
        answers = tuple(
            Answer(status, self.follow(one)["description"], self.bodies(self.follow(one)))
            for status, one in node["responses"].items()
        )
        security = {name for entry in node["security"] for name in entry}
        return Operation(
            id=node["operationId"],
            method=method.upper(),
            path=path,
            paths=paths,
            summary=node.get("summary", ""),
            scope=node.get("x-scope", ""),
            access=_access(security),
            parameters=parameters,
            request=request,
            answers=answers,
            curl=_curl(method.upper(), paths[0], security, request),
        )


def _describe(node: Mapping[str, Any]) -> str:
    text = str(node.get("description", ""))
    if "default" in node and node["default"] not in ("", None):
        text = f"{text} Default: {json.dumps(node['default'])}.".strip()
    return text


def _access(security: set[str]) -> str:
    if not security:
        return "Nobody needs to authenticate here, or the protocol does it by itself."
    doors = []
    if "basic" in security:
        doors.append("Basic, Bearer or client certificate under /service")
    if "session" in security:
        doors.append(f"session cookie{' and X-CSRF-Token' if 'csrf' in security else ''} under /browser")
    return "; ".join(doors) + "."


def _curl(method: str, path: str, security: set[str], request: tuple[Body, ...]) -> str:
    parts = ["curl --cacert ca.pem"]
    if method != "GET":
        parts.append(f"-X {method}")
    if "basic" in security:
        parts.append('-u "$CLIENT_ID:$CLIENT_SECRET"')
    elif security:
        parts.append('-b "__Host-session=$SESSION"')
        if "csrf" in security:
            parts.append('-H "X-CSRF-Token: $CSRF"')
    if request:
        parts.append(f"-H 'Content-Type: {request[0].media_type}' --data-binary @body")
    shown = path.replace("{", "$").replace("}", "")
    return " ".join([*parts, f'"$URL{shown}"'])
