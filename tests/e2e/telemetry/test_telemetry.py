"""A real suite and a real OTLP receiver."""

from __future__ import annotations

import base64
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.authority import csr
from tests.support.otlp import Receiver, Span
from tests.support.pki import PKCS10, Ca
from tests.support.suite import StartSuite, Suite, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
SERVER = 2  # SpanKind


def told(receiver: Receiver, **more: Any) -> dict[str, Any]:
    """Configuration that sends quickly."""
    return {"telemetry": {"endpoint": receiver.url, "batch_interval": 0.05, "metric_interval": 0.2, **more}}


def of_trace(receiver: Receiver, trace: str = TRACE) -> list[Span]:
    return [span for span in receiver.spans() if span.trace_id == trace]


def enrol(running: Suite, **headers: str) -> Any:
    ca = Ca(running)
    user, password = ca.credential()
    answer = running.http().post(
        ca.est("simpleenroll"),
        content=base64.encodebytes(csr("www.example.test")),
        headers={**PKCS10, **headers},
        auth=(user, password),
    )
    assert answer.status_code == 200, answer.text
    return answer, password


@pytest.fixture
def running(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> Suite:
    secret = tmp_path / "headers"
    secret.write_text("x-api-key=topsecret\n")
    extra = told(receiver, headers=f"file://{secret}", attributes="deployment.environment.name=lab")
    return suite(tmp_path, "suite", extra)


def test_a_request_is_one_trace_through_the_rooms(running: Suite, receiver: Receiver) -> None:
    answer, password = enrol(running, traceparent=SAMPLED, tracestate="vendor=1")
    running.api("learn-ps").get("pets")
    running.http().get("/nowhere?secret=hunter2", headers={"authorization": "Bearer hunter3", "baggage": "a=hunter4"})
    until(lambda: any(one.kind == SERVER for one in of_trace(receiver)), "the request's span")
    until(lambda: {"learn-ps", "pki-ca"} <= receiver.services(), "both services")
    until(lambda: [one for one in receiver.spans() if one.name == "GET" and "http.route" not in one.attributes], "404")
    spans = of_trace(receiver)

    (root,) = (one for one in spans if one.kind == SERVER)
    assert root.parent == PARENT
    assert root.name == "POST /.well-known/est/simpleenroll"
    assert root.attributes["http.request.method"] == "POST"
    assert root.attributes["http.route"] == "/.well-known/est/simpleenroll"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["url.scheme"] == "https"
    assert root.attributes["pycryptoutil.request_id"] == answer.headers["x-request-id"]
    assert not root.error
    assert root.resource["service.name"] == "pki-ca"
    assert root.resource["service.namespace"] == "pycryptoutil"
    assert root.resource["deployment.environment.name"] == "lab"

    by_id = {one.span_id: one for one in spans}
    names = {one.name for one in spans}
    assert {"db.read", "db.unit_of_work", "crypto.sign-certificate"} <= names
    for one in spans:
        if one is not root:
            assert one.parent in by_id, one.name  # one connected tree
            assert root.start <= one.end
    signed = next(one for one in spans if one.name == "crypto.sign-certificate")
    assert signed.end > signed.start
    unit = next(one for one in spans if one.name == "db.unit_of_work")
    assert unit.attributes["db.system.name"] == "sqlite"

    until(lambda: [one for one in receiver.lines() if one.trace_id == TRACE], "log lines of the trace")
    line = next(one for one in receiver.lines() if one.trace_id == TRACE and one.body == "request")
    assert line.attributes["request_id"] == answer.headers["x-request-id"]
    assert line.resource["service.name"] == "pki-ca"
    assert line.severity == "INFO"
    assert any(one.get("trace_id") == TRACE for one in running.logs())  # standard error names it too

    assert {one["x-api-key"] for one in receiver.headers} == {"topsecret"}
    everything = b"".join(receiver.raw) + running.log_text().encode()
    for secret in (password, *running.basic[1:], "hunter2", "hunter3", "hunter4", "topsecret"):
        assert secret.encode() not in everything


def test_metrics_are_those_of_prometheus(running: Suite, receiver: Receiver) -> None:
    for _ in range(3):
        assert running.api("learn-ps").get("pets").status_code == 200

    def counted() -> float:
        points = receiver.points("http_requests")
        mine = [point.as_double for _, labels, point in points if labels["route"] == "listPets"]
        return max(mine, default=0.0)

    until(lambda: counted() == 3, "three requests are counted")
    text = running.admin("learn-ps").get("metrics").text
    assert 'http_requests_total{listener="public",method="GET",route="listPets",status="200"} 3' in text
    assert 'telemetry_items_total{result="exported",signal="metrics"}' in text
    histogram = [
        p for _, labels, p in receiver.points("http_request_duration_seconds") if labels["route"] == "listPets"
    ]
    assert histogram[-1].count == 3
    assert receiver.points("crypto_operation_duration_seconds") or receiver.points("worker_threads")


def test_who_is_not_sampled_is_not_sent_but_named(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> None:
    running = suite(tmp_path, "learn-ps", told(receiver, sample_ratio=0))
    client = running.api("learn-ps")
    client.get("pets")
    client.get("pets", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    client.get("pets", headers={"traceparent": "00-not-a-trace"})
    client.get("pets", headers={"traceparent": SAMPLED.replace("0af7", "1af7")})  # the caller's decision holds
    until(receiver.spans, "the sampled one")
    assert {one.trace_id for one in receiver.spans()} == {TRACE.replace("0af7", "1af7")}
    until(lambda: [one for one in running.logs() if one.get("trace_id") == TRACE], "the unsampled one's log line")
    assert all(one.get("trace_id") for one in running.logs() if one["event"] == "request")
    running.stop()
    assert {one.trace_id for one in receiver.spans()} == {TRACE.replace("0af7", "1af7")}


def test_strangers_decide_nothing_when_not_trusted(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> None:
    running = suite(tmp_path, "learn-ps", told(receiver, trust_parent=False))
    running.api("learn-ps").get("pets", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    until(receiver.spans, "a trace of its own")
    assert TRACE not in {one.trace_id for one in receiver.spans()}


def test_workers_speak_for_themselves_and_drain(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> None:
    """Each process has its own id; what it has not sent when told to stop is sent then."""
    extra = told(receiver, batch_interval=3600, metric_interval=3600)
    running = suite(tmp_path, "learn-ps", extra, workers=2)
    assert receiver.raw == []
    for _ in range(4):
        assert running.api("learn-ps").get("pets", headers={"traceparent": SAMPLED}).status_code == 200
    assert running.stop() == 0
    spans = of_trace(receiver)
    assert len([one for one in spans if one.kind == SERVER]) == 4
    instances = {resource["service.instance.id"] for resource, _, _ in receiver.points("worker_threads")}
    assert len(instances) == 2
    assert {one.resource["pycryptoutil.worker"] for one in receiver.lines()} == {0, 1}


def test_a_receiver_that_is_away_harms_nobody(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> None:
    receiver.status = 503
    extra = told(receiver, queue_size=20, timeout=0.2)
    running = suite(tmp_path, "learn-ps", extra)
    client = running.api("learn-ps")
    for _ in range(100):
        assert client.get("pets").status_code == 200

    def metric(signal_name: str, result: str) -> float:
        text = running.admin("learn-ps").get("metrics").text
        wanted = f'telemetry_items_total{{result="{result}",signal="{signal_name}"}} '
        return float(next(line for line in text.splitlines() if line.startswith(wanted)).rpartition(" ")[2])

    until(lambda: metric("traces", "failed") > 0 and metric("traces", "dropped") > 0, "failures are counted")
    said = [one for one in running.logs() if one["event"].startswith("telemetry")]
    assert len(said) == len({one["signal"] for one in said})  # one line for each signal, not for each batch
    assert not [one for one in running.logs() if "opentelemetry" in str(one.get("logger", ""))]
    receiver.status = 200
    assert running.stop() == 0
    assert running.foreign_lines() == []


def test_a_receiver_that_hangs_holds_no_stop_up(suite: StartSuite, tmp_path: Path, receiver: Receiver) -> None:
    receiver.going.clear()
    running = suite(tmp_path, "learn-ps", told(receiver, timeout=300, shutdown_timeout=0.2))
    assert running.api("learn-ps").get("pets").status_code == 200
    assert receiver.asked.wait(30)
    running.signal(signal.SIGTERM)
    assert running.wait(30) == 0  # far below the export's own 300 s
    assert not receiver.raw
    assert running.foreign_lines() == []


def test_nobody_listens_at_the_endpoint(suite: StartSuite, tmp_path: Path) -> None:
    extra = {"telemetry": {"endpoint": "http://127.0.0.1:1", "batch_interval": 0.05, "timeout": 0.2}}
    running = suite(tmp_path, "learn-ps", extra)
    assert running.api("learn-ps").get("pets").status_code == 200
    until(lambda: [one for one in running.logs() if one["event"] == "telemetry is not received"], "it is told once")
    assert running.stop() == 0
