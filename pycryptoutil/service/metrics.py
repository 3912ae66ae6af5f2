"""Prometheus metrics of one service process, and the sum over its worker processes.

Request counts are plain integers that only the reactor thread touches: an observation costs a third of a microsecond,
where a library histogram with labels costs several. What others measure goes through ``registry`` as usual.
"""

from __future__ import annotations

import contextlib
import json
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DURATION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CRYPTO_BOUNDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0)


@dataclass(slots=True)
class RouteStatistics:
    """What one route and method did. Reactor thread only."""

    route: str
    method: str
    listener: str
    statuses: dict[int, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    total: float = 0.0

    def observe(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buckets[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.total += seconds


class _Requests(Collector):
    """Turns the integers into metric families when somebody scrapes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "http_requests", "Requests answered.", labels=("listener", "method", "route", "status")
        )
        durations = HistogramMetricFamily(
            "http_request_duration_seconds",
            "From the complete header to the answer's first byte.",
            labels=("listener", "method", "route"),
        )
        for one in list(self._metrics.routes.values()):
            names = [one.listener, one.method, one.route]
            for status, count in list(one.statuses.items()):
                requests.add_metric([*names, str(status)], count)
            durations.add_metric(names, _cumulative(one.buckets), one.total)
        yield requests
        yield durations
        yield from self._metrics.simple_families()


def _cumulative(buckets: list[int], bounds: tuple[float, ...] = DURATION_BOUNDS) -> list[tuple[str, float]]:
    total, found = 0, []
    for bound, count in zip((*bounds, float("inf")), list(buckets), strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    return found


class OperationTimes(Collector):
    """How long key operations took: one for the process, since keys are not a service's own. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, tuple[list[int], list[float]]] = {}

    def observe(self, operation: str, seconds: float) -> None:
        """Record one operation."""
        at = bisect_left(CRYPTO_BOUNDS, seconds)
        with self._lock:
            found = self._found.get(operation)
            if found is None:
                found = self._found[operation] = ([0] * (len(CRYPTO_BOUNDS) + 1), [0.0])
            found[0][at] += 1
            found[1][0] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = HistogramMetricFamily(
            "crypto_operation_duration_seconds", "Signatures, with the encoding around them.", labels=("operation",)
        )
        with self._lock:
            found = [(name, list(buckets), total[0]) for name, (buckets, total) in self._found.items()]
        for name, buckets, total in found:
            family.add_metric((name,), _cumulative(buckets, CRYPTO_BOUNDS), total)
        yield family


CRYPTO = OperationTimes()


class Metrics:
    """One per service and process. With ``directory``, other processes of the same service are summed in."""

    def __init__(self, service: str, *, directory: Path | None = None, instance: int = 0) -> None:
        self.registry = CollectorRegistry()
        self.routes: dict[tuple[str, str, str], RouteStatistics] = {}
        self._service = service
        self._directory = directory
        self._instance = instance
        self._counters: dict[str, tuple[str, tuple[str, ...], dict[tuple[str, ...], int]]] = {}
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []
        self._base: dict[str, float] = {}
        self._lock = threading.Lock()
        self.counter("http_connections_refused", "Connections over a limit.", ("listener",))
        self.counter("http_bad_requests", "Bytes that were no HTTP request.", ("listener", "status"))
        self.counter("tls_handshakes", "TLS handshakes.", ("listener", "result", "version"))
        self.counter("tls_reloads", "Times certificates were loaded anew.", ("listener", "result"))
        self.counter("background_runs", "Runs of background tasks.", ("task", "result"))
        self.registry.register(_Requests(self))
        self.registry.register(CRYPTO)
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._base = _read(self._file(instance)).get("counters", {})  # what this worker counted before a restart

    def route(self, listener: str, method: str, route: str) -> RouteStatistics:
        """Return the statistics of a route; keep the result, it never changes."""
        key = (listener, method, route)
        found = self.routes.get(key)
        if found is None:
            found = self.routes[key] = RouteStatistics(route, method, listener.lower())
        return found

    def counter(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        """Declare a simple counter (its exposed name gets ``_total``)."""
        self._counters[name] = (help_text, labels, {})

    def count(self, name: str, *labels: str) -> None:
        """Add one to a declared counter; any thread."""
        with self._lock:
            values = self._counters[name][2]
            values[labels] = values.get(labels, 0) + 1

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Expose what ``read`` returns at scrape time."""
        self._gauges.append((name, help_text, read))

    def simple_families(self) -> Iterator[Metric]:
        """Yield the declared counters and gauges."""
        with self._lock:
            counters = [(name, text, names, dict(values)) for name, (text, names, values) in self._counters.items()]
        for name, text, names, values in counters:
            family = CounterMetricFamily(name, text, labels=names)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family
        for name, text, read in self._gauges:
            yield GaugeMetricFamily(name, text, value=read())

    # --- several processes

    def _file(self, instance: int) -> Path:
        if self._directory is None:
            raise LookupError("metrics are not shared")
        return self._directory / f"{self._service}.{instance}.json"

    @property
    def shared(self) -> bool:
        """Tell whether there are sibling processes."""
        return self._directory is not None

    def publish(self) -> None:
        """Write this process's values for the others; a no-op with one process. Not on the reactor thread."""
        if self._directory is None:
            return
        counters, gauges = self._own()
        target = self._file(self._instance)
        temporary = target.with_suffix(".tmp")
        temporary.write_text(json.dumps({"counters": counters, "gauges": gauges}), encoding="utf-8")
        temporary.replace(target)

    def _own(self) -> tuple[dict[str, float], dict[str, float]]:
        counters, gauges = dict(self._base), {}
        for family in self.registry.collect():
            for sample in family.samples:
                key = json.dumps([sample.name, sorted(sample.labels.items())])
                if family.type == "gauge" or sample.name.endswith("_created"):
                    gauges[key] = sample.value
                else:
                    counters[key] = counters.get(key, 0.0) + sample.value
        return counters, gauges

    def merged(self) -> bytes:
        """Return the exposition text: this process's values, plus the last published ones of its siblings."""
        process = generate_latest(_Several((PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR)))
        if self._directory is None:
            return generate_latest(self.registry) + process
        counters, gauges = self._own()
        for path in self._directory.glob(f"{self._service}.*.json"):
            if path != self._file(self._instance):
                other = _read(path)
                for target, name in ((counters, "counters"), (gauges, "gauges")):
                    for key, value in other.get(name, {}).items():
                        target[key] = target.get(key, 0.0) + value
        return generate_latest(_Summed(self.registry, {**counters, **gauges})) + process

    def forget(self) -> None:
        """Zero this process's gauges for its siblings, at shutdown; its counters stay, or sums would go down."""
        if self._directory is not None:
            counters, _ = self._own()
            with contextlib.suppress(OSError):
                self._file(self._instance).write_text(json.dumps({"counters": counters, "gauges": {}}), "utf-8")


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # not written yet, or just being replaced
    return found if isinstance(found, dict) else {}


class _Several(CollectorRegistry):
    """Collectors that live in the library's global registry, without that registry."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        super().__init__()
        for collector in collectors:
            self.register(collector)


class _Summed(CollectorRegistry):
    """The families of a registry, with the samples' values replaced by sums; foreign label sets are added."""

    def __init__(self, registry: CollectorRegistry, values: dict[str, float]) -> None:
        super().__init__()
        self._source = registry
        self._values = values

    def collect(self) -> Iterator[Metric]:
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for key, value in self._values.items():
            name, labels = json.loads(key)
            samples.setdefault(name, []).append((dict(labels), value))
        for family in self._source.collect():
            summed = Metric(family.name, family.documentation, family.type)
            for name in _sample_names(family):
                for labels, value in samples.get(name, ()):
                    summed.add_sample(name, labels, value)
            yield summed


def _sample_names(family: Metric) -> tuple[str, ...]:
    if family.type == "counter":
        return (f"{family.name}_total",)
    if family.type == "histogram":
        return tuple(family.name + suffix for suffix in ("_bucket", "_count", "_sum"))
    return (family.name,)
