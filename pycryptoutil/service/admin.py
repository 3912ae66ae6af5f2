"""The admin listener's routes: livez, readyz, metrics, shutdown and the barrier. Loopback only, TLS always."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from pycryptoutil.barrier import Barrier
from pycryptoutil.http.message import Listener, Request, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.health import Health
from pycryptoutil.service.metrics import CONTENT_TYPE, Metrics

JSON = "application/json"
ALIVE = Response(200, b'{"status":"alive"}', JSON)
ON_ADMIN = frozenset({Listener.ADMIN})
MAX_BODY = 4096


def _nothing(*_: object) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class AdminState:
    """What admin routes work on; the callbacks run on a worker's thread."""

    barrier: Barrier
    health: Health
    metrics: Metrics
    on_shutdown: Callable[[], None] = _nothing
    on_unseal: Callable[[str], None] = _nothing  # a share was accepted
    on_seal: Callable[[], None] = _nothing


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Share(_Body):
    """One unseal share; empty for the modes that read their secret themselves."""

    share: SecretStr = Field(default=SecretStr(""), max_length=1024)


class Rotation(_Body):
    """Which level gets a new key."""

    level: Literal["root", "intermediate", "content", "unseal"]


class BarrierAnswer(BaseModel):
    """The barrier's state."""

    mode: str
    sealed: bool
    threshold: int
    shares: int
    progress: int
    generations: dict[str, int]
    content_uses: int
    shares_file: str


class Finding(BaseModel):
    """One readiness check."""

    name: str
    state: Literal["ok", "failed", "timeout"]
    required: bool
    duration_ms: float
    reason: str = ""


class Readiness(BaseModel):
    """What readyz answers."""

    status: Literal["ready", "not-ready"]
    phase: Literal["starting", "ready", "draining"]
    checks: list[Finding]


class Status(BaseModel):
    """One word."""

    status: str


def _json(status: int, document: Any) -> Response:
    return Response(status, json.dumps(document, separators=(",", ":")).encode(), JSON)


def alive(_state: Any, _request: Request, _parameters: Any) -> Response:
    """Answer on the reactor: the process and its TLS work; nothing is looked up."""
    return ALIVE


def livez(_context: Any, _request: Request) -> Response:
    """Say that the process lives."""
    return ALIVE


def readyz(context: Any, _request: Request) -> Response:
    """Say whether requests are served, and why not."""
    ready, document = context.state.health.look()
    return _json(200 if ready else 503, document)


def metrics(context: Any, _request: Request) -> Response:
    """Give Prometheus its text."""
    return Response(200, context.state.metrics.merged(), CONTENT_TYPE)


def shutdown(context: Any, _request: Request) -> Response:
    """Start draining; the answer still gets out."""
    context.state.on_shutdown()
    return _json(202, {"status": "draining"})


def barrier_status(context: Any, _request: Request) -> Response:
    """Tell the barrier's state."""
    return _json(200, asdict(context.state.barrier.status()))


def unseal(context: Any, _request: Request) -> Response:
    """Take a share."""
    state: AdminState = context.state
    share = context.body.share.get_secret_value()
    status = state.barrier.unseal(share)
    state.on_unseal(share)
    return _json(200, asdict(status))


def seal(context: Any, _request: Request) -> Response:
    """Drop every key."""
    state: AdminState = context.state
    state.barrier.seal()
    state.on_seal()
    return _json(200, asdict(state.barrier.status()))


def rotate(context: Any, _request: Request) -> Response:
    """Make a new key at one level."""
    return _json(200, asdict(context.state.barrier.rotate(context.body.level)))


def _route(name: str, method: str, path: str, handler: Any, summary: str, **more: Any) -> Route:
    return Route(
        name,
        (method,),
        path,
        handler,
        gate=Gate.ADMIN,
        scope=None,
        summary=summary,
        tag="admin",
        listeners=ON_ADMIN,
        max_body=MAX_BODY,
        rate_limited=False,
        **more,
    )


ROUTES: tuple[Route, ...] = (
    _route("livez", "GET", "/livez", livez, "The process lives.", fast=alive, response=Status),
    _route("readyz", "GET", "/readyz", readyz, "Requests are served; 503 says why not.", response=Readiness),
    _route("metrics", "GET", "/metrics", metrics, "Prometheus metrics.", produces=("text/plain",)),
    _route("shutdown", "POST", "/shutdown", shutdown, "Drain and exit.", status=202, response=Status),
    _route("barrierStatus", "GET", "/barrier", barrier_status, "The barrier's state.", response=BarrierAnswer),
    _route("barrierUnseal", "POST", "/barrier/unseal", unseal, "Give a share.", body=Share, response=BarrierAnswer),
    _route("barrierSeal", "POST", "/barrier/seal", seal, "Drop every key.", response=BarrierAnswer),
    _route(
        "barrierRotate", "POST", "/barrier/rotate", rotate, "Make a new key.", body=Rotation, response=BarrierAnswer
    ),
)
