"""A real OTLP receiver over HTTP, that a test can make fail or hang."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

_MESSAGES: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


def plain(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    found: dict[str, Any] = {}
    one: KeyValue
    for one in attributes:
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind) if kind else None
    return found


@dataclass(frozen=True)
class Span:
    """One span, with what its resource says."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    start: int
    end: int


@dataclass(frozen=True)
class Line:
    """One log record."""

    body: str
    severity: str
    trace_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """What came in, whole requests in order."""

    url: str = ""
    status: int = 200
    raw: list[bytes] = field(default_factory=list)  # decompressed
    headers: list[dict[str, str]] = field(default_factory=list)
    traces: list[Any] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)  # cleared: every request hangs
    asked: threading.Event = field(default_factory=threading.Event)

    def spans(self) -> list[Span]:
        return [
            Span(
                one.name,
                one.trace_id.hex(),
                one.span_id.hex(),
                one.parent_span_id.hex(),
                one.kind,
                one.status.code == 2,
                plain(one.attributes),
                plain(group.resource.attributes),
                one.start_time_unix_nano,
                one.end_time_unix_nano,
            )
            for request in list(self.traces)
            for group in request.resource_spans
            for scope in group.scope_spans
            for one in scope.spans
        ]

    def lines(self) -> list[Line]:
        return [
            Line(
                one.body.string_value,
                one.severity_text,
                one.trace_id.hex(),
                plain(one.attributes),
                plain(group.resource.attributes),
            )
            for request in list(self.logs)
            for group in request.resource_logs
            for scope in group.scope_logs
            for one in scope.log_records
        ]

    def points(self, name: str) -> list[tuple[dict[str, Any], dict[str, Any], Any]]:
        """``(resource, attributes, data point)`` of every report of a metric, oldest first."""
        return [
            (plain(group.resource.attributes), plain(point.attributes), point)
            for request in list(self.metrics)
            for group in request.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in getattr(metric, metric.WhichOneof("data")).data_points
        ]

    def services(self) -> set[str]:
        return {span.resource["service.name"] for span in self.spans()}


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["content-type"] == "application/x-protobuf"
            receiver.asked.set()
            receiver.going.wait(60)
            if receiver.status == 200:
                message = _MESSAGES[self.path]()
                message.ParseFromString(body)
                receiver.raw.append(body)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                getattr(receiver, self.path.rpartition("/")[2]).append(message)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Serve until the test ends."""
    made = Receiver()
    made.going.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.going.set()
    server.shutdown()
    server.server_close()
