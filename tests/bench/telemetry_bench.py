"""What telemetry costs a request, in processor time of the reactor's thread: off, sampling nothing, sampling all.

Off is the plain dispatcher, so its own cost is what the rooms' switched-off spans take: that is the first row.
"""

from __future__ import annotations

import json
import time
import timeit
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from pycryptoutil.clock import SystemClock
from pycryptoutil.http.message import Headers, Listener, Response
from pycryptoutil.http.route import Gate, Route
from pycryptoutil.service.definition import Resources, Urls
from pycryptoutil.service.exchange import Edge, Phase
from pycryptoutil.service.http1 import Fields, Head
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.pipeline import Dispatcher
from pycryptoutil.service.router import Router
from pycryptoutil.service.settings import ServiceSettings, TelemetrySettings
from pycryptoutil.service.telemetry import traces
from pycryptoutil.service.telemetry.dispatcher import TracedDispatcher
from pycryptoutil.service.telemetry.pipe import Pipe
from tests.support.edge import Barrier, Callers, Limits

ANSWER = Response(200, bytes(300), "application/ocsp-response")
ROUTE = Route(
    "ocsp",
    ("GET",),
    "/ocsp/<ca>",
    lambda _context, _request: ANSWER,
    gate=Gate.PROTOCOL,
    fast=lambda _state, _request, _parameters: ANSWER,
    listeners=frozenset({Listener.PLAIN}),
)
COUNT, ROUNDS = 2000, 7


def edge(clock: SystemClock) -> Edge:
    """Everything that is not measured, standing in."""
    barrier: Any = Barrier()
    resources = Resources(None, barrier, barrier, clock, Urls("", ""), None, "t1")  # type: ignore[arg-type]
    settings = ServiceSettings(profile="test")
    made = Edge(settings, clock, barrier, Metrics("bench"), Callers(), Limits(), "t1", "bench")
    made.phase, made.resources = Phase.READY, resources
    return made


def microseconds(dispatcher: Dispatcher, head: Head) -> float:
    """Return processor time for one request: the best of several rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(COUNT):
            exchange = dispatcher.open(head, b"", Listener.PLAIN, "PLAIN", "127.0.0.1", None)
            dispatcher.run(exchange, b"", lambda _: None)
            dispatcher.close(exchange)
        best = min(best, (time.thread_time() - started) / COUNT)
    return best * 1e6


def traced(ratio: float, clock: SystemClock) -> Dispatcher:
    """Return a dispatcher whose spans go into a full queue."""
    settings = TelemetrySettings(sample_ratio=ratio)
    pipe: Pipe[Any] = Pipe("traces", lambda _: True, depth=1, batch=1, interval=1)
    provider = TracerProvider(sampler=traces.sampler(settings), resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(traces.Collect(pipe.put))
    tracing = traces.RequestTracing(provider.get_tracer("bench"), clock, trust_parent=True)
    return TracedDispatcher(edge(clock), {Listener.PLAIN: Router((ROUTE,), Listener.PLAIN, "")}, {}, tracing)


def run() -> list[dict[str, Any]]:
    """Measure."""
    clock = SystemClock()
    fields = Fields(Headers(()), 0, "localhost", 1, False, False, True, "")
    head = Head("GET", "/ocsp/issuing", "/ocsp/issuing", {}, fields, True, True, "localhost")
    plain = Dispatcher(edge(clock), {Listener.PLAIN: Router((ROUTE,), Listener.PLAIN, "")}, {})
    off = microseconds(plain, head)
    none, every = microseconds(traced(0, clock), head), microseconds(traced(1, clock), head)
    span = min(timeit.repeat("with span('x'): pass", "from pycryptoutil.tracing import span", number=50_000)) / 0.05
    limit = "the same request without telemetry"

    def row(name: str, value: float, limit_name: str, aim: float | None) -> dict[str, Any]:
        ratio = value / off
        return {
            "name": name, "value": value, "unit": "µs", "limit_name": limit_name, "limit_value": off, "ratio": ratio,
            "aim": aim, "better": "lower",
        }  # fmt: skip

    return [
        row("Telemetry off: a room's span", span, "a whole request on the fast path", 0.05),
        row("Telemetry on: fast path, not sampled", none, limit, None),
        row("Telemetry on: fast path, sampled", every, limit, None),
    ]


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
