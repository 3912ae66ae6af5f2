"""What one process sends: its pipes, one resource for each of its services, and when it begins and ends."""

from __future__ import annotations

import logging as standard_logging
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from pycryptoutil import __version__, tracing
from pycryptoutil.clock import Clock
from pycryptoutil.service import logging
from pycryptoutil.service.metrics import Metrics
from pycryptoutil.service.settings import TelemetrySettings
from pycryptoutil.service.telemetry import logs, metrics, traces
from pycryptoutil.service.telemetry.pipe import Pipe, PipeCounts
from pycryptoutil.service.telemetry.traces import RequestTracing, RoomTracer, nanoseconds

log = structlog.get_logger()

NAMESPACE = "pycryptoutil"
WAITING_REPORTS = 16
LAST_WORD_SECONDS = 0.5
SCOPE = InstrumentationScope(NAMESPACE, __version__)


@dataclass(frozen=True, slots=True)
class ServiceTelemetry:
    """What a service of this process needs of it."""

    requests: RequestTracing | None  # None: traces are off
    operation: Callable[[str, float], None]  # told of each key operation
    counts: PipeCounts


class Telemetry:
    """Pipes to one receiver. ``start`` before requests are served, ``stop`` when the last one is answered."""

    def __init__(self, settings: TelemetrySettings, clock: Clock, instance: int = 0) -> None:
        # our own two log lines say that a receiver is away; the library's would say it again for each batch
        standard_logging.getLogger("opentelemetry").setLevel(standard_logging.CRITICAL + 1)
        self._settings = settings
        self._clock = clock
        self._started = nanoseconds(clock.now())
        self._id = str(uuid.uuid4())
        self._instance = instance
        self._resources: dict[str, Resource] = {}
        self._registries: dict[str, Metrics] = {}
        self._exporters: list[Any] = []
        self._pipes: list[Pipe[Any]] = []
        self._ticking = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="telemetry-ticker", daemon=True)
        self._rooms = RoomTracer(clock)
        self._spans = self._span_pipe() if settings.traces else None
        self._records = self._record_pipe() if settings.logs else None
        self._reports = self._report_pipe() if settings.metrics else None
        self._counts = PipeCounts(self._pipes)

    # --- pipes

    def _options(self, signal: str) -> Mapping[str, Any]:
        settings = self._settings

        def text(path: Any) -> str | None:
            return str(path) if path is not None else None

        return {
            "endpoint": f"{settings.endpoint}/v1/{signal}",
            "headers": settings.header_fields,
            "timeout": settings.timeout,
            "compression": Compression.Gzip,
            "certificate_file": text(settings.certificate),
            "client_certificate_file": text(settings.client_certificate),
            "client_key_file": text(settings.client_key),
        }

    def _pipe(self, signal: str, send: Callable[[Sequence[Any]], bool], exporter: Any, depth: int) -> Pipe[Any]:
        settings = self._settings
        pipe: Pipe[Any] = Pipe(signal, send, depth=depth, batch=settings.batch_size, interval=settings.batch_interval)
        self._exporters.append(exporter)
        self._pipes.append(pipe)
        return pipe

    def _span_pipe(self) -> Pipe[ReadableSpan]:
        exporter = OTLPSpanExporter(**self._options("traces"))
        return self._pipe(
            "traces",
            lambda spans: exporter.export(spans) is SpanExportResult.SUCCESS,
            exporter,
            self._settings.queue_size,
        )

    def _record_pipe(self) -> Pipe[ReadableLogRecord]:
        exporter = OTLPLogExporter(**self._options("logs"))
        return self._pipe(
            "logs",
            lambda records: exporter.export(records) is LogRecordExportResult.SUCCESS,
            exporter,
            self._settings.queue_size,
        )

    def _report_pipe(self) -> Pipe[MetricsData]:
        """Reports are cumulative: of those that wait only the newest matters, so few may."""
        exporter = OTLPMetricExporter(**self._options("metrics"))

        def send(reports: Sequence[MetricsData]) -> bool:
            return all(exporter.export(report) is MetricExportResult.SUCCESS for report in reports)

        return self._pipe("metrics", send, exporter, WAITING_REPORTS)

    # --- services

    def of(self, service: str, registry: Metrics) -> ServiceTelemetry:
        """Take a service in."""
        resource = self._resource(service)
        registry.registry.register(self._counts)
        self._registries[service] = registry
        requests = None
        if self._spans is not None:
            provider = TracerProvider(
                sampler=traces.sampler(self._settings),
                resource=resource,
                shutdown_on_exit=False,
                span_limits=traces.LIMITS,
            )
            provider.add_span_processor(traces.Collect(self._spans.put))
            tracer = provider.get_tracer(SCOPE.name, SCOPE.version)
            requests = RequestTracing(tracer, self._clock, trust_parent=self._settings.trust_parent)
        return ServiceTelemetry(requests, self._rooms.operation, self._counts)

    def _resource(self, service: str) -> Resource:
        """Name who speaks. What no service says, such as the process's start, is said as the process's own name."""
        found = self._resources.get(service)
        if found is None:
            settings = self._settings
            found = self._resources[service] = Resource(
                {
                    "service.namespace": NAMESPACE,
                    "service.version": __version__,
                    "service.instance.id": self._id,
                    "pycryptoutil.worker": self._instance,
                    "telemetry.sdk.name": "opentelemetry",
                    "telemetry.sdk.language": "python",
                    **settings.resource_attributes,
                    "service.name": settings.service_name or service or NAMESPACE,
                }
            )
        return found

    # --- life

    def start(self) -> None:
        """Begin to send."""
        for pipe in self._pipes:
            pipe.start()
        if self._spans is not None:
            tracing.trace_by(self._rooms)
            logging.name_traces_by(traces.current_ids)
        if self._records is not None:
            logging.export_to(self._take_event)
        if self._reports is not None:
            self._ticker.start()

    def stop(self) -> None:
        """Send what is left for up to ``shutdown_timeout`` seconds in all; what is left then is dropped. Blocks."""
        logging.export_to(None)
        logging.name_traces_by(None)
        tracing.trace_by(None)
        if self._reports is not None:
            self._ticking.set()
            self._report()
        for pipe in self._pipes:
            pipe.stop()
        until = self._clock.monotonic() + self._settings.shutdown_timeout
        late = [pipe for pipe in self._pipes if not pipe.join(max(0.0, until - self._clock.monotonic()))]
        for exporter in self._exporters:
            exporter.shutdown()  # ends a retry that waits
        lost = {pipe.signal: pipe.dropped + pipe.failed for pipe in self._pipes if pipe.dropped + pipe.failed}
        for pipe in late:
            pipe.join(LAST_WORD_SECONDS / len(late))
        if lost:
            log.warning("some telemetry was not received", **{f"lost_{signal}": lost[signal] for signal in lost})

    def _take_event(self, event: Mapping[str, Any]) -> None:
        if self._records is not None:
            resource = self._resource(str(event.get("service", "")) if event.get("service") in self._registries else "")
            self._records.put(logs.record(event, resource, SCOPE, nanoseconds(self._clock.now())))

    def _tick(self) -> None:
        while not self._ticking.wait(self._settings.metric_interval):
            self._report()

    def _report(self) -> None:
        """Collect every service's metrics once."""
        if self._reports is None:
            return
        now = nanoseconds(self._clock.now())
        for service, registry in self._registries.items():
            try:
                families = registry.registry.collect()
                report = metrics.metrics_data(self._resource(service), SCOPE, families, self._started, now)
            except Exception:
                log.exception("metrics could not be collected", service=service)
                continue
            self._reports.put(report)
