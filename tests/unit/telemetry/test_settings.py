"""Section ``telemetry``: where its values come from, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pycryptoutil import tracing
from pycryptoutil.errors import ConfigurationError
from pycryptoutil.service import catalogue, config, telemetry
from pycryptoutil.service.config import Configuration, Given, Inputs
from pycryptoutil.service.settings import TelemetrySettings
from tests.support.suite import ROOT, environment

URL = "http://127.0.0.1:4318"


def load(env: dict[str, str] | None = None, **options: Any) -> Configuration:
    line = {tuple(key.split("__")): Given(value, f"command line {key}") for key, value in options.items()}
    return config.load((catalogue.definition("learn-ps"),), Inputs((), env or {}, line))


def test_off_by_default() -> None:
    settings = load().settings.telemetry
    assert settings.endpoint == ""
    assert telemetry.open_telemetry(settings, None) is None  # type: ignore[arg-type]


def test_standard_variables_are_read() -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{URL}/",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20abc,x-scope = one",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
        "OTEL_SERVICE_NAME": "our-ca",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,rack=a%2C1",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.25",
        "OTEL_METRIC_EXPORT_INTERVAL": "15000",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_BSP_MAX_QUEUE_SIZE": "",
    }
    loaded = load(env)
    found = loaded.settings.telemetry
    assert found.endpoint == URL
    assert found.header_fields == {"authorization": "Bearer abc", "x-scope": "one"}
    assert found.resource_attributes == {"deployment.environment.name": "test", "rack": "a,1"}
    assert (found.timeout, found.service_name, found.sample_ratio, found.metric_interval) == (2.5, "our-ca", 0.25, 15)
    assert (found.traces, found.metrics, found.logs, found.trust_parent) == (True, True, False, True)
    shown = {one.key: (one.value, one.origin) for one in loaded.effective}
    assert shown["telemetry.endpoint"][1] == "environment OTEL_EXPORTER_OTLP_ENDPOINT"
    assert "abc" not in str(shown["telemetry.headers"][0])
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    ("sampler", "ratio", "trust"),
    [("always_on", 1.0, False), ("always_off", 0.0, False), ("parentbased_always_off", 0.0, True), ("jaeger", 1, True)],
)
def test_standard_samplers(sampler: str, ratio: float, trust: bool) -> None:
    found = load({"OTEL_TRACES_SAMPLER": sampler}).settings.telemetry
    assert (found.sample_ratio, found.trust_parent) == (ratio, trust)


def test_our_own_keys_win() -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318", "CRYPTOUTIL_TELEMETRY_ENDPOINT": URL}
    assert load(env).settings.telemetry.endpoint == URL
    assert load({"OTEL_SERVICE_NAME": "a"}, telemetry__service_name="b").settings.telemetry.service_name == "b"


def test_disabled_by_the_standard_variable() -> None:
    assert load({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": URL}).settings.telemetry.endpoint == ""


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ("OTEL_EXPORTER_OTLP_PROTOCOL", "telemetry.protocol")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, ("OTEL_EXPORTER_OTLP_ENDPOINT", "base URL")),
        ({"CRYPTOUTIL_TELEMETRY_ENDPOINT": "http://u:hunter2@host:4318"}, ("telemetry.endpoint", "telemetry.headers")),
        ({"CRYPTOUTIL_TELEMETRY_HEADERS": "hunter2"}, ("telemetry.headers", "name=value")),
        ({"CRYPTOUTIL_TELEMETRY_HEADERS": "a=b\r\nc: hunter2"}, ("telemetry.headers", "name=value")),
        ({"CRYPTOUTIL_TELEMETRY_ATTRIBUTES": "nothing"}, ("telemetry.attributes", "name=value")),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, ("telemetry.sample_ratio",)),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "often"}, ("OTEL_METRIC_EXPORT_INTERVAL", "telemetry.metric_interval")),
        ({"CRYPTOUTIL_TELEMETRY_ENDPONT": URL}, ("CRYPTOUTIL_TELEMETRY_ENDPOINT",)),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(env: dict[str, str], names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(env)
    assert all(name in str(caught.value) for name in names), str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_NEEDED", ("opentelemetry_that_is_not_installed.sdk",))
    with pytest.raises(ConfigurationError, match=r"pip install 'pycryptoutil\[otel\]'"):
        load(telemetry__endpoint=URL)
    load()  # without an endpoint nobody asks


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    missing, there = tmp_path / "missing.pem", tmp_path / "there.pem"
    there.write_text("x")
    for key in ("certificate", "client_certificate", "client_key"):
        with pytest.raises(ConfigurationError, match=rf"telemetry\.{key}: cannot read .*missing\.pem"):
            load(telemetry__endpoint=URL, **{f"telemetry__{key}": str(missing)})
    with pytest.raises(ConfigurationError, match=r"telemetry\.client_key: is missing"):
        load(telemetry__endpoint=URL, telemetry__client_certificate=str(there))


def test_the_deployment_sample_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "otlp_headers").write_text("authorization=Bearer%20abc\n")
    (tmp_path / "collector-ca.pem").write_text("x")
    text = (ROOT / "deploy/config/telemetry.yaml").read_text()
    for folder in ("/run/secrets", "/etc/pycryptoutil"):
        text = text.replace(folder, str(tmp_path))
    sample = tmp_path / "telemetry.yaml"
    sample.write_text(text)
    found = config.load((catalogue.definition("learn-ps"),), Inputs((sample,), {}, {})).settings.telemetry
    assert found.header_fields == {"authorization": "Bearer abc"}
    assert (found.sample_ratio, found.trust_parent) == (0.05, False)
    assert found.resource_attributes == {"deployment.environment.name": "production"}


def test_a_change_waits_for_the_next_start() -> None:
    assert load().needing_restart(load(telemetry__endpoint=URL)) == ("telemetry.endpoint",)


def test_nothing_is_imported_without_an_endpoint() -> None:
    """Whatever a suite imports: none of it is OpenTelemetry."""
    program = (
        "import sys, pycryptoutil.cli, pycryptoutil.service.lifecycle, pycryptoutil.service.app, "
        "pycryptoutil.services.pki_ca, pycryptoutil.services.learn_ps\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf', 'requests'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


def test_spans_are_one_shared_nothing_while_off() -> None:
    assert tracing.span("a") is tracing.span("b", x="y")
    assert tracing.outbound() == {}


def test_limits_of_numbers() -> None:
    assert TelemetrySettings(sample_ratio=0.5).sample_ratio == 0.5
    with pytest.raises(ValueError, match="less than or equal to 1"):
        TelemetrySettings(sample_ratio=1.5)
