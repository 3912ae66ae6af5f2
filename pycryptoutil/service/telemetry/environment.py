"""The standard ``OTEL_*`` variables, as the keys of section ``telemetry``; they weigh least of all that is given.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def _same(value: str) -> str:
    return value


def _seconds(value: str) -> Any:
    """Read milliseconds; what is no number goes on as it is, for validation to name it."""
    try:
        return int(value) / 1000
    except ValueError:
        return value


def _wanted(value: str) -> Any:
    """Read an exporter's name: any but ``none`` means OTLP, the only one there is."""
    return value.strip().lower() != "none"


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("endpoint", _same),
    "OTEL_EXPORTER_OTLP_PROTOCOL": ("protocol", _same),
    "OTEL_EXPORTER_OTLP_HEADERS": ("headers", _same),
    "OTEL_EXPORTER_OTLP_CERTIFICATE": ("certificate", _same),
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": ("client_certificate", _same),
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": ("client_key", _same),
    "OTEL_EXPORTER_OTLP_TIMEOUT": ("timeout", _seconds),
    "OTEL_SERVICE_NAME": ("service_name", _same),
    "OTEL_RESOURCE_ATTRIBUTES": ("attributes", _same),
    "OTEL_METRIC_EXPORT_INTERVAL": ("metric_interval", _seconds),
    "OTEL_BSP_SCHEDULE_DELAY": ("batch_interval", _seconds),
    "OTEL_BSP_MAX_QUEUE_SIZE": ("queue_size", _same),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ("batch_size", _same),
    "OTEL_TRACES_EXPORTER": ("traces", _wanted),
    "OTEL_METRICS_EXPORTER": ("metrics", _wanted),
    "OTEL_LOGS_EXPORTER": ("logs", _wanted),
}


def standard(environment: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield ``(key, value, variable)`` for each that is set; an empty one counts as unset, as the standard wants."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    for variable, (key, read) in _VARIABLES.items():
        value = environment.get(variable, "").strip()
        if value:
            yield key, read(value), variable
    yield from _sampler(environment)


def _sampler(environment: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    name = environment.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    ratio: Any
    match name.removeprefix("parentbased_"):
        case "always_on":
            ratio = 1.0
        case "always_off":
            ratio = 0.0
        case "traceidratio":
            ratio = environment.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or 1.0
        case _:
            return
    yield "sample_ratio", ratio, "OTEL_TRACES_SAMPLER"
    if not name.startswith("parentbased_"):
        yield "trust_parent", False, "OTEL_TRACES_SAMPLER"
