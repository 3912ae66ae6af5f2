"""Counting, and the sum over processes."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from pycryptoutil.service.metrics import CRYPTO, Metrics


def values(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.merged().decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def requests(metrics: Metrics, route: str = "r") -> float:
    labels = (("listener", "public"), ("method", "GET"), ("route", route), ("status", "200"))
    return values(metrics).get(("http_requests_total", labels), 0.0)


def test_one_process() -> None:
    metrics = Metrics("s")
    for seconds in (0.0001, 0.003, 20.0):
        metrics.route("PUBLIC", "GET", "r").observe(200, seconds)
    metrics.gauge("depth", "Depth.", lambda: 7)
    metrics.count("tls_handshakes", "public", "ok", "TLSv1.3")
    before = values(metrics).get(("crypto_operation_duration_seconds_count", (("operation", "test"),)), 0)
    CRYPTO.observe("test", 0.00002)
    found = values(metrics)
    assert requests(metrics) == 3
    labels = (("listener", "public"), ("method", "GET"), ("route", "r"))
    bucket = "http_request_duration_seconds_bucket"
    assert found[bucket, tuple(sorted((*labels, ("le", "0.0005"))))] == 1
    assert found[bucket, tuple(sorted((*labels, ("le", "0.005"))))] == 2
    assert found[bucket, tuple(sorted((*labels, ("le", "10.0"))))] == 2
    assert found[bucket, tuple(sorted((*labels, ("le", "+Inf"))))] == 3
    assert found["depth", ()] == 7
    assert found["tls_handshakes_total", (("listener", "public"), ("result", "ok"), ("version", "TLSv1.3"))] == 1
    assert found["crypto_operation_duration_seconds_count", (("operation", "test"),)] == before + 1


def test_workers_are_summed_and_restarts_lose_nothing(tmp_path: Path) -> None:
    first, second = Metrics("s", directory=tmp_path), Metrics("s", directory=tmp_path, instance=1)
    other = Metrics("another", directory=tmp_path)
    for metrics, count in ((first, 2), (second, 3), (other, 50)):
        metrics.gauge("depth", "Depth.", lambda: 5)
        for _ in range(count):
            metrics.route("PUBLIC", "GET", "r").observe(200, 0.001)
        metrics.publish()
    second.route("PUBLIC", "GET", "only-here").observe(200, 0.001)
    second.publish()
    assert requests(first) == 5
    assert requests(first, "only-here") == 1
    assert values(first)["depth", ()] == 10
    # worker 1 dies, and another takes its place
    again = Metrics("s", directory=tmp_path, instance=1)
    again.gauge("depth", "Depth.", lambda: 1)
    again.route("PUBLIC", "GET", "r").observe(200, 0.001)
    again.publish()
    assert requests(first) == 6
    assert values(first)["depth", ()] == 6
    again.forget()
    assert requests(first) == 6
    assert values(first)["depth", ()] == 5


def test_a_file_that_is_just_being_written_is_passed_over(tmp_path: Path) -> None:
    metrics = Metrics("s", directory=tmp_path)
    metrics.route("PUBLIC", "GET", "r").observe(200, 0.001)
    (tmp_path / "s.7.json").write_text('{"counters": {')
    assert requests(metrics) == 1
