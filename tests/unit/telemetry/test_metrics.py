"""What Prometheus shows is what OTLP carries."""

from __future__ import annotations

from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import generate_latest

from pycryptoutil.service.metrics import DURATION_BOUNDS, Metrics
from pycryptoutil.service.telemetry.metrics import metrics_data


def bridged(metrics: Metrics) -> dict[str, Any]:
    data = metrics_data(Resource({}), InstrumentationScope("test"), metrics.registry.collect(), 5, 9)
    (group,) = encode_metrics(data).resource_metrics  # as it goes over the wire
    return {metric.name: metric for metric in group.scope_metrics[0].metrics}


def test_histograms_are_taken_apart() -> None:
    metrics = Metrics("test")
    for status, seconds in ((200, 0.0004), (200, 0.0007), (200, 0.3), (500, 99.0)):
        metrics.route("PUBLIC", "GET", "list").observe(status, seconds)
    found = bridged(metrics)["http_request_duration_seconds"]
    (point,) = found.histogram.data_points
    assert found.unit == "s"
    assert list(point.explicit_bounds) == list(DURATION_BOUNDS)
    assert len(point.bucket_counts) == len(DURATION_BOUNDS) + 1
    assert sum(point.bucket_counts) == point.count == 4
    assert (point.bucket_counts[0], point.bucket_counts[1], point.bucket_counts[-1]) == (1, 1, 1)
    assert point.sum == 0.0004 + 0.0007 + 0.3 + 99.0
    assert not point.HasField("min")  # not known: absent, rather than 0
    assert (point.start_time_unix_nano, point.time_unix_nano) == (5, 9)
    assert found.histogram.aggregation_temporality == 2


def test_counters_and_gauges_keep_names_labels_and_values() -> None:
    metrics = Metrics("test")
    metrics.route("PUBLIC", "GET", "list").observe(200, 0.1)
    metrics.count("tls_handshakes", "public", "ok", "TLSv1.3")
    metrics.gauge("worker_threads", "Threads.", lambda: 8)
    found = bridged(metrics)
    (requests,) = found["http_requests"].sum.data_points
    assert {one.key: one.value.string_value for one in requests.attributes} == {
        "listener": "public",
        "method": "GET",
        "route": "list",
        "status": "200",
    }
    assert requests.as_double == 1
    assert found["http_requests"].sum.is_monotonic
    assert found["worker_threads"].gauge.data_points[0].as_double == 8
    assert found["tls_handshakes"].sum.data_points[0].as_double == 1


def test_every_family_with_samples_crosses() -> None:
    metrics = Metrics("test")
    metrics.route("PUBLIC", "GET", "list").observe(200, 0.1)
    metrics.count("background_runs", "sweep", "ok")
    shown = {
        line.split("{")[0].split(" ")[0] for line in generate_latest(metrics.registry).decode().splitlines()
        if not line.startswith("#")
    }  # fmt: skip
    suffixes = ("_total", "_bucket", "_count", "_sum")
    names = {next((name.removesuffix(one) for one in suffixes if name.endswith(one)), name) for name in shown}
    assert names == set(bridged(metrics))
