"""The Prometheus registry's families, as OTLP metrics: the same instruments under the same names, counted once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Sample

CUMULATIVE = AggregationTemporality.CUMULATIVE


def metrics_data(
    resource: Resource, scope: InstrumentationScope, families: Iterable[Family], started: int, now: int
) -> MetricsData:
    """Put families together for one export; times are nanoseconds since 1970."""
    metrics = [metric for family in families if (metric := _metric(family, started, now)) is not None]
    found = ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")
    return MetricsData([found])


def _metric(family: Family, started: int, now: int) -> Metric | None:
    data: Sum | Gauge | Histogram
    match family.type:
        case "counter":
            data = Sum(_numbers(family, started, now), CUMULATIVE, is_monotonic=True)
        case "gauge":
            data = Gauge(_numbers(family, started, now))
        case "histogram":
            data = Histogram(list(_histograms(family, started, now)), CUMULATIVE)
        case _:
            return None
    if not data.data_points:
        return None
    return Metric(family.name, family.documentation, _unit(family.name), data)


def _unit(name: str) -> str:
    return "s" if name.endswith("_seconds") else "By" if name.endswith("_bytes") else "1"


def _numbers(family: Family, started: int, now: int) -> list[NumberDataPoint]:
    samples = (sample for sample in family.samples if not sample.name.endswith("_created"))
    return [NumberDataPoint(dict(sample.labels), started, now, float(sample.value)) for sample in samples]


def _histograms(family: Family, started: int, now: int) -> Iterator[HistogramDataPoint]:
    """Take the cumulative buckets apart; OTLP counts each by itself, and the last one has no bound."""
    series: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        labels = tuple(item for item in sample.labels.items() if item[0] != "le")
        series.setdefault(labels, []).append(sample)
    for labels, samples in series.items():
        by_suffix = {sample.name.removeprefix(family.name): sample.value for sample in samples}
        buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
        totals = [int(sample.value) for sample in buckets]
        counts = [total - below for total, below in zip(totals, [0, *totals], strict=False)]
        bounds = [float(sample.labels["le"]) for sample in buckets if sample.labels["le"] != "+Inf"]
        extremes: Mapping[str, Any] = {"min": None, "max": None}  # not known here; OTLP allows their absence
        yield HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=started,
            time_unix_nano=now,
            count=totals[-1] if totals else 0,
            sum=by_suffix.get("_sum", 0.0),
            bucket_counts=counts,
            explicit_bounds=bounds,
            **extremes,
        )
