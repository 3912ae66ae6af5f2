"""The route table's row type. A table is plain data: the router, OpenAPI and the docs are made from it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pycryptoutil_protocols.faults import Fault
from pydantic import BaseModel

from pycryptoutil.http.message import Listener, Request, Response

Handler = Callable[[Any, Request], Response]
"""``(service.definition.Context, Request) -> Response``; the type is there, this room is below it."""

FastHandler = Callable[[Any, Request, Mapping[str, str]], Response | None]
"""``(state, request, path parameters)``, run on the reactor: no I/O, lock or signature. None means: ask a worker."""

FaultEncoder = Callable[[Fault, Request], Response]


class Gate(enum.Enum):
    """Who may enter, and by which path."""

    API = "api"  # mounted under both /service/api/v1 and /browser/api/v1, with each one's authentication
    SERVICE = "service"  # only /service/api/v1
    BROWSER = "browser"  # only /browser/api/v1
    PAGE = "page"  # only /browser, HTML
    PROTOCOL = "protocol"  # at its own path; the protocol authenticates by itself
    ADMIN = "admin"  # admin listener, under the configured prefix


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    ``path`` is a werkzeug rule relative to the gate's mount point, such as ``/certificates/<serial>``.
    ``scope`` is what the principal needs (empty: any authenticated principal; None: nobody need authenticate).
    ``body`` and ``query`` are validated into ``context.body`` and ``context.query``; ``accepts`` lists request media
    types (default application/json where ``body`` is given). ``max_body`` in bytes; 0 means the service's limit.
    ``faults`` gives the protocol's own error form; without it a problem document (RFC 9457) is answered.
    ``described_body`` documents a body that the handler decodes by itself, because it comes in several forms.
    """

    name: str  # operationId, unique in the service, lowerCamelCase
    methods: tuple[str, ...]
    path: str
    handler: Handler
    gate: Gate = Gate.API
    scope: str | None = ""
    summary: str = ""
    tag: str = ""
    body: type[BaseModel] | None = None
    described_body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    status: int = 200
    also: Mapping[int, type[BaseModel]] = field(default_factory=dict)  # other successes, by status
    accepts: tuple[str, ...] = ()
    produces: tuple[str, ...] = ("application/json",)
    max_body: int = 0
    fast: FastHandler | None = None
    faults: FaultEncoder | None = None
    listeners: frozenset[Listener] = frozenset({Listener.PUBLIC})
    rate_limited: bool = True
