"""A span for each request, and those of the rooms below it (semantic conventions for HTTP servers, 1.23 and later)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pycryptoutil.clock import Clock
from pycryptoutil.service.exchange import Exchange
from pycryptoutil.service.settings import TelemetrySettings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"})
QUIET_ROUTES = frozenset({"livez", "readyz", "metrics", "health"})  # asked every few seconds by machines
LONGEST_PATH = 200

LIMITS = SpanLimits(
    max_attributes=32, max_events=16, max_links=4, max_attribute_length=1024, max_span_attribute_length=1024
)

_TRACER_KEY = contexts.create_key("pycryptoutil-tracer")
_W3C = TraceContextTextMapPropagator()
_NOTHING = nullcontext()


def nanoseconds(instant: datetime) -> int:
    """Return nanoseconds since 1970."""
    return int(instant.timestamp() * 1_000_000) * 1000


def sampler(settings: TelemetrySettings) -> Sampler:
    """Follow the caller's decision where there is one, else take a part of all."""
    return ParentBased(TraceIdRatioBased(settings.sample_ratio))


class Collect(SpanProcessor):
    """Hands ended spans on; the pipe bounds them."""

    def __init__(self, put: Callable[[ReadableSpan], None]) -> None:
        self._put = put

    def on_end(self, span: ReadableSpan) -> None:
        """Hand on what was sampled."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self._put(span)


class RequestTracing:
    """Begins and ends the spans of one service's requests. The reactor's thread, but for ``within``."""

    def __init__(self, tracer: Tracer, clock: Clock, *, trust_parent: bool) -> None:
        self._tracer = tracer
        self._clock = clock
        self._trust_parent = trust_parent

    def begin(self, exchange: Exchange) -> None:
        """Begin the request's span, below the caller's if it told one."""
        request = exchange.request
        resource = exchange.match.resource if exchange.match else None
        mount = resource.methods.get(request.method) if resource else None
        if mount is not None and mount.route.name in QUIET_ROUTES:
            return
        parent = Context()
        if self._trust_parent and "traceparent" in request.headers:
            carrier = {
                name: ",".join(request.headers.get_all(name))
                for name in ("traceparent", "tracestate")
                if name in request.headers
            }
            parent = _W3C.extract(carrier, parent)
        span = self._tracer.start_span(
            request.method if request.method in METHODS else "HTTP",
            parent,
            SpanKind.SERVER,
            start_time=nanoseconds(request.received_at),
        )
        exchange.trace = contexts.set_value(_TRACER_KEY, self._tracer, set_span_in_context(span, parent))

    def within(self, exchange: Exchange) -> AbstractContextManager[object]:
        """Put what the block does below the request's span; any thread."""
        return _NOTHING if exchange.trace is None else _Attached(exchange.trace)

    def end(self, exchange: Exchange, *, gone: bool = False) -> None:
        """End it; ``gone``: the peer is, before its answer."""
        context, exchange.trace = exchange.trace, None
        if context is None:
            return
        span = get_current_span(context)
        if span.is_recording():
            self._describe(span, exchange, gone=gone)
            seconds = self._clock.monotonic() - exchange.started
            span.end(nanoseconds(exchange.request.received_at) + int(seconds * 1_000_000_000))

    @staticmethod
    def _describe(span: Span, exchange: Exchange, *, gone: bool) -> None:
        request, mount, response = exchange.request, exchange.mount, exchange.response
        method = request.method if request.method in METHODS else "_OTHER"
        span.set_attributes(
            {
                "http.request.method": method,
                "url.scheme": "https" if request.tls is not None else "http",
                "url.path": request.raw_path[:LONGEST_PATH],  # as the access log; never the query
                "pycryptoutil.listener": request.listener.value,
                "pycryptoutil.request_id": request.request_id,
            }
        )
        if mount is not None:
            span.update_name(f"{method} {mount.pattern}")
            span.set_attribute("http.route", mount.pattern)
        if gone:
            span.set_attribute("error.type", "client_gone")
        elif response is not None:
            span.set_attribute("http.response.status_code", response.status)
            if response.status >= 500:
                span.set_attribute("error.type", exchange.fault.kind.value if exchange.fault else str(response.status))
                span.set_status(StatusCode.ERROR)


class _Attached:
    """Makes a context the current one for a block; a class, because a generator costs thrice as much."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(self, *_: object) -> None:
        contexts.detach(self._token)


class RoomTracer:
    """The spans of storage, barrier and keys: :class:`pycryptoutil.tracing.Tracer`. Only below a sampled request."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def span(self, name: str, attributes: Mapping[str, str]) -> AbstractContextManager[object]:
        """Cover a block."""
        tracer = _here()
        return _NOTHING if tracer is None else _covered(tracer, name, attributes)

    def outbound(self) -> Mapping[str, str]:
        """Return ``traceparent`` and ``tracestate``."""
        fields: dict[str, str] = {}
        _W3C.inject(fields)
        return fields

    def operation(self, name: str, seconds: float) -> None:
        """Tell of a key operation that has just ended."""
        tracer = _here()
        if tracer is not None:
            ended = nanoseconds(self._clock.now())
            tracer.start_span(f"crypto.{name}", start_time=ended - int(seconds * 1_000_000_000)).end(ended)


def _here() -> Tracer | None:
    """Return the tracer of the request that this thread serves, if its trace is recorded."""
    tracer = contexts.get_value(_TRACER_KEY)
    if not isinstance(tracer, Tracer):
        return None
    return tracer if get_current_span().get_span_context().trace_flags.sampled else None


@contextmanager
def _covered(tracer: Tracer, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)  # its text may say anything
            span.set_status(StatusCode.ERROR)
            raise


def current_ids() -> tuple[str, str] | None:
    """Return the trace's and the span's id in hexadecimal, or None outside of any."""
    found = get_current_span().get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None
